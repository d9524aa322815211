package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/yaml"
)

// Objects names what is read or watched of a cluster.
type Objects struct {
	resource  schema.GroupVersionResource
	namespace string
	name      string // "" for all
}

// ConfigMap names one ConfigMap.
func ConfigMap(namespace, name string) Objects {
	return Objects{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, namespace, name}
}

// IdentityMappings names the IAMIdentityMapping objects of
// aws-iam-authenticator.
func IdentityMappings() Objects {
	return Objects{resource: schema.GroupVersionResource{Group: "iamauthenticator.k8s.aws", Version: "v1alpha1", Resource: "iamidentitymappings"}}
}

// Objecter reads and watches objects of a cluster.
type Objecter struct {
	client dynamic.Interface
}

// NewObjecter makes a client for objects. For watching, the options must have
// NoTimeout.
func NewObjecter(o Options) (*Objecter, error) {
	config, _, err := Config(o)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Objecter{client}, nil
}

func (o Objects) options(l metav1.ListOptions) metav1.ListOptions {
	if o.name != "" {
		l.FieldSelector = fields.OneTermEqualSelector("metadata.name", o.name).String()
	}
	return l
}

// Read returns the objects in YAML: one that is named as `kubectl get -o yaml`
// prints it, all of a kind as a List. nil says that there are none.
func (c *Objecter) Read(ctx context.Context, o Objects) ([]byte, error) {
	list, err := c.client.Resource(o.resource).Namespace(o.namespace).List(ctx, o.options(metav1.ListOptions{}))
	if err != nil {
		return nil, readable(err, o)
	}
	objects := make([]any, len(list.Items))
	for i := range list.Items {
		objects[i] = &list.Items[i]
	}
	return o.encode(objects)
}

// readable says in a line what keeps objects from being read.
func readable(err error, o Objects) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("reading %s is forbidden: %w", o.resource.Resource, err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the cluster has no %s (is the CustomResourceDefinition there?)", o.resource.GroupResource())
	case apierrors.IsUnauthorized(err):
		return errors.New("the API server does not know who asks (Unauthorized)")
	}
	return err
}

// encode writes objects without the fields that change by themselves.
func (o Objects) encode(objects []any) ([]byte, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	items := make([]map[string]any, 0, len(objects))
	for _, obj := range objects {
		u, ok := obj.(*unstructured.Unstructured)
		if !ok {
			continue
		}
		item := u.DeepCopy()
		unstructured.RemoveNestedField(item.Object, "metadata", "managedFields")
		unstructured.RemoveNestedField(item.Object, "metadata", "annotations")
		unstructured.RemoveNestedField(item.Object, "metadata", "resourceVersion")
		items = append(items, item.Object)
	}
	sortByName(items)
	if o.name != "" && len(items) == 1 {
		return yaml.Marshal(items[0])
	}
	return yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}

// settle is for how long changes are gathered before they are told.
const settle = 100 * time.Millisecond

// Watch calls changed with the objects as Read gives them, nil for none, as
// soon as they are known and whenever they change, until ctx ends. An error
// tells that they can not be read; it goes on trying.
func (c *Objecter) Watch(ctx context.Context, o Objects, changed func([]byte, error)) {
	resource := c.client.Resource(o.resource).Namespace(o.namespace)
	informer := cache.NewSharedInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, l metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, o.options(l))
		},
		WatchFuncWithContext: func(ctx context.Context, l metav1.ListOptions) (watch.Interface, error) {
			return resource.Watch(ctx, o.options(l))
		},
	}, &unstructured.Unstructured{}, 0)
	dirty := make(chan struct{}, 1)
	mark := func() {
		select {
		case dirty <- struct{}{}:
		default:
		}
	}
	failures := make(chan error, 1)
	// Neither call fails before the informer runs.
	_ = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			return // the watch begins anew, which is its ordinary life
		}
		select {
		case failures <- readable(err, o):
		default:
		}
	})
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { mark() }, UpdateFunc: func(_, _ any) { mark() }, DeleteFunc: func(any) { mark() },
	})
	go informer.RunWithContext(ctx)
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			mark() // also where there is nothing
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-failures:
			changed(nil, err)
		case <-dirty:
			if !informer.HasSynced() {
				continue // the sync itself is told
			}
			select {
			case <-time.After(settle):
			case <-ctx.Done():
				return
			}
			select {
			case <-dirty:
			default:
			}
			changed(o.encode(informer.GetStore().List()))
		}
	}
}

func sortByName(items []map[string]any) {
	name := func(i map[string]any) string {
		n, _, _ := unstructured.NestedString(i, "metadata", "name")
		return n
	}
	slices.SortFunc(items, func(a, b map[string]any) int { return strings.Compare(name(a), name(b)) })
}
