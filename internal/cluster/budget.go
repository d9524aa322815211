package cluster

import (
	"context"
	"fmt"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Budget is a PodDisruptionBudget.
type Budget struct {
	Name string
	// Allowed is how many of its pods may go now; Healthy of Wanted are there.
	Allowed, Healthy, Wanted int
	selector                 labels.Selector
}

// Covers tells whether the budget counts pods with the labels.
func (b Budget) Covers(podLabels map[string]string) bool {
	return b.selector.Matches(labels.Set(podLabels))
}

// Budgets lists a namespace's PodDisruptionBudgets.
func (c *Client) Budgets(ctx context.Context, namespace string) ([]Budget, error) {
	var out []Budget
	err := pages(ctx, namespace, metav1.ListOptions{}, func(ctx context.Context, ns string, o metav1.ListOptions) (string, error) {
		var list policyv1.PodDisruptionBudgetList
		if err := c.kube.policy.list(ctx, "poddisruptionbudgets", ns, o, &list); err != nil {
			return "", err
		}
		for i := range list.Items {
			b := &list.Items[i]
			selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
			if err != nil {
				continue // the API server would not have taken it
			}
			s := b.Status
			out = append(out, Budget{b.Name, int(s.DisruptionsAllowed), int(s.CurrentHealthy), int(s.DesiredHealthy), selector})
		}
		return list.Continue, nil
	})
	if err != nil {
		return nil, fmt.Errorf("the disruption budgets of namespace %s: %w", namespace, err)
	}
	return out, nil
}

// PodOwner reads one pod and follows its owners. The error is an ErrGone where
// there is no such pod.
func (c *Client) PodOwner(ctx context.Context, namespace, name string) (Pod, error) {
	get := func(resource schema.GroupVersionResource, name string) (*metav1.PartialObjectMetadata, error) {
		return c.meta.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	}
	r := &reader{Client: c, owners: map[string]owned{}, words: map[string]string{}}
	m, err := get(podResource, name)
	if err != nil {
		if refused(err) && reason(err) != "forbidden" {
			return Pod{}, ErrGone{Ref{"Pod", "v1", namespace, name}}
		}
		return Pod{}, fmt.Errorf("%s/pod/%s: %w", namespace, name, err)
	}
	pod := Pod{Namespace: namespace, Name: name, UID: string(m.UID), Created: m.CreationTimestamp.UTC()}
	controller := metav1.GetControllerOf(m)
	for link := controller; link != nil; {
		next := link
		link = nil
		for _, k := range ownerKinds {
			if k.kind != next.Kind || k.resource.GroupVersion().String() != next.APIVersion {
				continue
			}
			o := owned{passes: k.passes}
			parent, err := get(k.resource, next.Name)
			if err == nil && parent.UID == next.UID {
				if link = metav1.GetControllerOf(parent); link != nil {
					o.above, o.uid = r.ref(namespace, link), string(link.UID)
				}
			}
			if err == nil && (k.passes || link != nil) {
				r.owners[string(next.UID)] = o
			}
			if !k.passes {
				link = nil
			}
		}
		if len(r.owners) > 8 {
			break
		}
	}
	pod.Owner, pod.Above = r.ownerOf(namespace, name, m.Labels, controller)
	return pod, nil
}

// NewBudget returns a budget over the pods that have all of the labels.
func NewBudget(name string, allowed int, podLabels map[string]string) Budget {
	return Budget{Name: name, Allowed: allowed, selector: labels.SelectorFromSet(podLabels)}
}
