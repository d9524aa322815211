package cluster

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// kube speaks with the API groups that are read and written here. client-go's
// clientset has all groups, and makes every type of each of them known when the
// program starts: a quarter of the start of each command, most of which speak with
// no cluster.
type kube struct {
	core, apps, authorization, policy, rbac group
}

// newKube makes a client that sends nothing yet.
func newKube(config *rest.Config) (*kube, error) {
	known := runtime.NewScheme()
	metav1.AddToGroupVersion(known, schema.GroupVersion{Version: "v1"})
	builder := runtime.NewSchemeBuilder(corev1.AddToScheme, appsv1.AddToScheme, authenticationv1.AddToScheme,
		authorizationv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme)
	if err := builder.AddToScheme(known); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	if config.UserAgent == "" {
		config.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	if config.RateLimiter == nil && config.QPS > 0 {
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, config.Burst)
	}
	config.NegotiatedSerializer = rest.CodecFactoryForGeneratedClient(known, serializer.NewCodecFactory(known)).WithoutConversion()
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	k := &kube{}
	for _, part := range []struct {
		to      *group
		path    string
		version schema.GroupVersion
	}{
		{&k.core, "/api", corev1.SchemeGroupVersion},
		{&k.apps, "/apis", appsv1.SchemeGroupVersion},
		{&k.authorization, "/apis", authorizationv1.SchemeGroupVersion},
		{&k.policy, "/apis", policyv1.SchemeGroupVersion},
		{&k.rbac, "/apis", rbacv1.SchemeGroupVersion},
	} {
		c := rest.CopyConfig(config)
		c.APIPath, c.GroupVersion = part.path, &part.version
		client, err := rest.RESTClientForConfigAndClient(c, http)
		if err != nil {
			return nil, err
		}
		*part.to = group{client, runtime.NewParameterCodec(known)}
	}
	return k, nil
}

// group is one API group in one version. Resources are named as in its paths; a
// namespace is "" for all, and for what is in none.
type group struct {
	client rest.Interface
	params runtime.ParameterCodec
}

// get reads an object.
func (g group) get(ctx context.Context, resource, namespace, name string, into runtime.Object) error {
	return g.client.Get().Namespace(namespace).Resource(resource).Name(name).Do(ctx).Into(into)
}

// list reads a list, or a page of it.
func (g group) list(ctx context.Context, resource, namespace string, o metav1.ListOptions, into runtime.Object) error {
	return g.listing(resource, namespace, o).Do(ctx).Into(into)
}

// watch reads a list as a stream.
func (g group) watch(ctx context.Context, resource, namespace string, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	return g.listing(resource, namespace, o).Watch(ctx)
}

func (g group) listing(resource, namespace string, o metav1.ListOptions) *rest.Request {
	var timeout time.Duration
	if o.TimeoutSeconds != nil {
		timeout = time.Duration(*o.TimeoutSeconds) * time.Second
	}
	return g.client.Get().Namespace(namespace).Resource(resource).VersionedParams(&o, g.params).Timeout(timeout)
}

// create sends an object, and reads the answer into it.
func (g group) create(ctx context.Context, resource string, object runtime.Object) error {
	return g.client.Post().Resource(resource).Body(object).Do(ctx).Into(object)
}

// createIn sends an object to a subresource of another one, and reads the answer
// into it.
func (g group) createIn(ctx context.Context, resource, namespace, name, subresource string, object runtime.Object) error {
	return g.client.Post().Namespace(namespace).Resource(resource).Name(name).SubResource(subresource).Body(object).Do(ctx).Into(object)
}

// apply sends a part of an object by server-side apply.
func (g group) apply(ctx context.Context, resource, namespace, name string, body []byte, o metav1.PatchOptions) error {
	return g.client.Patch(types.ApplyPatchType).Namespace(namespace).Resource(resource).Name(name).
		VersionedParams(&o, g.params).Body(body).Do(ctx).Error()
}
