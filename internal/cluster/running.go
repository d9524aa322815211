package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Process is what runs in one container of a pod.
type Process struct {
	// Container is its name and Image the image of the pod's template. ID is the
	// image that the node really runs, with its digest, "" where it does not say.
	Container, Image, ID string
	Started              time.Time
}

// ProcessesOf lists what runs in a workload's pods, by the pods' uids.
func (c *Client) ProcessesOf(ctx context.Context, r Rollout) (map[string][]Process, error) {
	out := map[string][]Process{}
	o := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(r.Labels).String()}
	err := pages(ctx, r.Ref.Namespace, o, func(ctx context.Context, ns string, o metav1.ListOptions) (string, error) {
		var list corev1.PodList
		if err := c.kube.core.list(ctx, "pods", ns, o, &list); err != nil {
			return "", err
		}
		for i := range list.Items {
			out[string(list.Items[i].UID)] = processes(&list.Items[i])
		}
		return list.Continue, nil
	})
	if err != nil {
		return nil, fmt.Errorf("the pods of %s/%s: %w", r.Ref.Namespace, r.Ref, err)
	}
	return out, nil
}

func processes(p *corev1.Pod) []Process {
	images := map[string]string{}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		images[c.Name] = c.Image
	}
	var out []Process
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if s.State.Running != nil {
			out = append(out, Process{s.Name, images[s.Name], s.ImageID, s.State.Running.StartedAt.UTC()})
		}
	}
	return out
}

// SameProgram tells whether two pods run the same containers of the same
// images: by digest where both nodes tell it, else by name.
func SameProgram(a, b []Process) bool {
	if len(a) == 0 || len(a) != len(b) {
		return false
	}
	for _, p := range a {
		if !slices.ContainsFunc(b, func(q Process) bool {
			if p.Container != q.Container {
				return false
			}
			if p.ID != "" && q.ID != "" {
				return p.ID == q.ID
			}
			return p.Image == q.Image
		}) {
			return false
		}
	}
	return true
}
