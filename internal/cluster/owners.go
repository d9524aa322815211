package cluster

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// ownerKind is a kind whose own owner is looked up.
type ownerKind struct {
	kind     string
	resource schema.GroupVersionResource
	// passes tells that a person would name its owner instead of it.
	passes bool
}

var ownerKinds = []ownerKind{
	{"ReplicaSet", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}, true},
	{"Job", schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}, true},
	{"Deployment", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, false},
	{"StatefulSet", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}, false},
	{"DaemonSet", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}, false},
	{"CronJob", schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "cronjobs"}, false},
}

// owned is an object by which a pod may be owned, and what owns that.
type owned struct {
	passes bool
	above  Ref
	uid    string // above's
}

func (r *reader) readOwners(ctx context.Context) error {
	for _, k := range ownerKinds {
		keep := func(m *metav1.PartialObjectMetadata) {
			o := owned{passes: k.passes}
			if c := metav1.GetControllerOf(m); c != nil {
				o.above, o.uid = r.ref(m.Namespace, c), string(c.UID)
			} else if !k.passes {
				return // the end of the chain, which the pod's side knows already
			}
			r.owners[string(m.UID)] = o
		}
		l := listing{
			page: metadataLister(r.meta.Resource(k.resource), keep),
			watch: func(ctx context.Context, ns string, o metav1.ListOptions) (watch.Interface, error) {
				return r.streamMeta.Resource(k.resource).Namespace(ns).Watch(ctx, o)
			},
			keep: func(o runtime.Object) {
				if m, ok := o.(*metav1.PartialObjectMetadata); ok {
					keep(m)
				}
			},
			// An owner that is kept twice is kept once.
			mark: func() func() { return func() {} },
		}
		if err := r.each(ctx, k.resource.Resource, metav1.ListOptions{}, l); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) ref(namespace string, c *metav1.OwnerReference) Ref {
	return Ref{r.word(c.Kind), r.word(c.APIVersion), r.word(namespace), r.word(c.Name)}
}

// ownerOf follows a pod's controllers up to the one that a person would name,
// and returns what owns that one as well.
func (r *reader) ownerOf(namespace, name string, labels map[string]string, c *metav1.OwnerReference) (owner, above Ref) {
	if c == nil {
		return Ref{"Pod", "v1", r.word(namespace), name}, Ref{}
	}
	owner, uid := r.ref(namespace, c), string(c.UID)
	// A chain has at most a handful of links; the bound is for one that a broken
	// controller has closed to a ring.
	for range 8 {
		o, known := r.owners[uid]
		if !known {
			break
		}
		if !o.passes {
			return owner, o.above
		}
		if o.above == (Ref{}) {
			return owner, Ref{} // a ReplicaSet or Job of its own
		}
		owner, uid = o.above, o.uid
	}
	// Where ReplicaSets may not be listed, the Deployment's name is in theirs:
	// it is followed by the pods' hash (k8s.io/kubernetes
	// pkg/controller/deployment/sync.go).
	if hash := labels["pod-template-hash"]; owner.Kind == "ReplicaSet" && hash != "" {
		if name, ok := strings.CutSuffix(owner.Name, "-"+hash); ok {
			return Ref{"Deployment", "apps/v1", owner.Namespace, r.word(name)}, Ref{}
		}
	}
	return owner, Ref{}
}
