package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// streamIdle is how long a stream may be silent before it counts as broken.
const streamIdle = 30 * time.Second

// stream reads a listing by a watch that begins with all objects that are there,
// and ends it when they have come (WatchList, on by default in API servers from
// 1.34 on: https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists).
// The API server sends them from its watch cache one by one, as they were no
// longer ago than the request: neither it nor this program holds a list of them,
// and etcd is not asked.
func stream(ctx context.Context, namespace string, o metav1.ListOptions, l listing) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all, limit := true, int64(600)
	o.SendInitialEvents, o.AllowWatchBookmarks, o.TimeoutSeconds = &all, true, &limit
	o.ResourceVersionMatch = metav1.ResourceVersionMatchNotOlderThan
	// The request itself may take as long as the first event.
	idle := time.AfterFunc(streamIdle, cancel)
	defer idle.Stop()
	w, err := l.watch(ctx, namespace, o)
	if err != nil {
		return err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		idle.Reset(streamIdle)
		switch event.Type {
		case watch.Added:
			l.keep(event.Object)
		case watch.Bookmark:
			m, err := apimeta.Accessor(event.Object)
			if err != nil {
				return fmt.Errorf("a bookmark: %w", err)
			}
			if m.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true" {
				return nil
			}
		case watch.Error:
			return apierrors.FromObject(event.Object)
		}
		// What changes meanwhile was right a moment ago.
	}
	return errors.New("the stream ended before all objects had come")
}
