package cluster

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
)

// pageSize is how many objects one request asks for: a page of pods is some
// 3 MB, and never more than maxBody.
const pageSize = 250

// lister reads one page of a resource in a namespace, "" for all, and returns
// the place where the next one begins, "" for the end.
type lister func(ctx context.Context, namespace string, o metav1.ListOptions) (next string, err error)

// pages reads a list page by page. Where a page is larger than any answer may
// be, it asks for half as many. Where the place has expired because reading
// took long, it goes on at the place that the API server offers instead.
func pages(ctx context.Context, namespace string, o metav1.ListOptions, list lister) error {
	o.Limit = pageSize
	for {
		next, err := list(ctx, namespace, o)
		var status apierrors.APIStatus
		switch {
		case err == nil:
			if next == "" {
				return nil
			}
			o.Continue = next
		case errors.Is(err, errTooLarge) && o.Limit > 1:
			o.Limit = o.Limit / 2
		case apierrors.IsResourceExpired(err) && errors.As(err, &status) && status.Status().Continue != "" && status.Status().Continue != o.Continue:
			o.Continue = status.Status().Continue
		default:
			return err
		}
	}
}

// listing is how the objects of a resource are read.
type listing struct {
	page lister
	// watch and keep read them one by one from a stream, where watch is not nil.
	// Each object goes to keep. mark notes what there is already, and what it
	// returns forgets what came since.
	watch func(ctx context.Context, namespace string, o metav1.ListOptions) (watch.Interface, error)
	keep  func(runtime.Object)
	mark  func() (undo func())
}

// one reads a listing in a namespace, "" for all: as a stream from the API
// server's watch cache where it gives one, else page by page.
func (r *reader) one(ctx context.Context, namespace string, o metav1.ListOptions, l listing) error {
	if l.watch != nil && !r.noStream {
		undo := l.mark()
		err := stream(ctx, namespace, o, l)
		if err == nil || ctx.Err() != nil {
			return err
		}
		// Not allowed, not known to this API server, or broken off: what it is
		// shows when the same is asked for in pages.
		r.noStream = true
		undo()
	}
	return pages(ctx, namespace, o, l.page)
}

// metadataLister lists the metadata of a resource, which keeps specs (and the
// data of secrets) at the API server.
func metadataLister(r metadata.Getter, keep func(*metav1.PartialObjectMetadata)) lister {
	return func(ctx context.Context, namespace string, o metav1.ListOptions) (string, error) {
		list, err := r.Namespace(namespace).List(ctx, o)
		if err != nil {
			return "", err
		}
		for i := range list.Items {
			keep(&list.Items[i])
		}
		return list.Continue, nil
	}
}

// each lists a resource wherever it may be listed: in the namespaces asked for,
// in all at once, or in each namespace where listing all at once is forbidden.
// It returns the places that were denied, and an error only where it is none of
// the API server's refusals.
func (r *reader) each(ctx context.Context, resource string, o metav1.ListOptions, l listing) error {
	namespaces := r.namespaces
	if len(namespaces) == 0 {
		err := r.one(ctx, "", o, l)
		if !refused(err) {
			return err
		}
		if r.found == nil {
			if ferr := r.findNamespaces(ctx); ferr != nil {
				if !refused(ferr) {
					return ferr
				}
				r.deny(resource, "", err)
				return nil
			}
		}
		if !apierrors.IsForbidden(err) {
			r.deny(resource, "", err)
			return nil
		}
		namespaces = r.found
	}
	for _, ns := range namespaces {
		if err := r.one(ctx, ns, o, l); refused(err) {
			r.deny(resource, ns, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) findNamespaces(ctx context.Context) error {
	found := []string{}
	err := pages(ctx, "", metav1.ListOptions{}, metadataLister(r.meta.Resource(namespaceResource), func(m *metav1.PartialObjectMetadata) {
		found = append(found, m.Name)
	}))
	if err == nil {
		r.found = found
	}
	return err
}

// refused tells whether the API server answered and would not: there is no use
// in trying again, and other lists may do.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
}

func (r *reader) deny(resource, namespace string, err error) {
	r.out.Denied = append(r.out.Denied, Denied{resource, namespace, reason(err)})
}

// reason is an API server's refusal in a few words, without the object's path.
func reason(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return "forbidden"
	case apierrors.IsNotFound(err):
		return "the API server does not know the resource"
	}
	return err.Error()
}

// explain gives an error of the API server its way out.
func explain(err error, what, name string) error {
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%s of %s: the API server refuses the credential (401): %w", what, name, err)
	}
	return fmt.Errorf("%s of %s: %w", what, name, err)
}
