//go:build unix

package lab

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// host plays the scheduler and the kubelets of the nodes that are only names:
// it puts the pods of planted workloads on them, starts their programs, reports
// them ready, and lets them go when they are deleted. A real node could not
// start programs whose tokens are weeks old.
type host struct {
	lab    *Lab
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	crews    map[string]*crew     // by "namespace/workload"
	programs map[string]*Workload // by the pod's uid
}

// crew are the programs of a workload: those of its first pods, and what is run
// in every later one.
type crew struct {
	first   []StandIn
	then    StandIn
	started chan *Workload // those of first

	early []*Workload // taken from started, and not asked for yet
}

// startHost watches the pods with the label until the lab is closed.
func (l *Lab) startHost(ctx context.Context) (*host, error) {
	watching, cancel := context.WithCancel(context.Background())
	h := &host{lab: l, cancel: cancel, done: make(chan struct{}), crews: map[string]*crew{}, programs: map[string]*Workload{}}
	pods := l.Admin.CoreV1().Pods("")
	informer := cache.NewSharedInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = hosted
			return pods.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = hosted
			return pods.Watch(ctx, o)
		},
	}, &corev1.Pod{}, time.Second) // again each second what failed, a conflict say
	see := func(o any) {
		if err := h.see(watching, o.(*corev1.Pod)); err != nil && watching.Err() == nil && !apierrors.IsConflict(err) {
			fmt.Fprintf(l.log, "lab: %v\n", err)
		}
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: see, UpdateFunc: func(_, o any) { see(o) },
	}); err != nil {
		cancel()
		return nil, fmt.Errorf("lab: %w", err)
	}
	go func() {
		defer close(h.done)
		informer.RunWithContext(watching)
	}()
	l.own(h)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, fmt.Errorf("lab: watching pods: %w", ctx.Err())
	}
	return h, nil
}

func (h *host) stop() error {
	h.cancel()
	<-h.done
	return nil
}

// expect names the programs of a workload whose pods are about to come.
func (h *host) expect(name string, c *crew) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.crews[name] = c
}

// see does what comes next for a pod.
func (h *host) see(ctx context.Context, pod *corev1.Pod) error {
	name := pod.Namespace + "/" + pod.Labels[hosted]
	h.mu.Lock()
	crew, program := h.crews[name], h.programs[string(pod.UID)]
	h.mu.Unlock()
	pods := h.lab.Admin.CoreV1().Pods(pod.Namespace)
	switch {
	case crew == nil:
		return nil
	case pod.DeletionTimestamp != nil:
		if program != nil {
			if err := program.Stop(); err != nil {
				return err
			}
			h.mu.Lock()
			delete(h.programs, string(pod.UID))
			h.mu.Unlock()
		}
		err := pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	case pod.Spec.NodeName == "":
		return pods.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID}, Target: corev1.ObjectReference{Kind: "Node", Name: nodeFor(pod, crew)}}, metav1.CreateOptions{})
	case pod.Status.Phase != corev1.PodPending:
		return nil
	}
	if program == nil {
		var err error
		if program, err = h.begin(ctx, pod, crew); err != nil {
			return err
		}
	}
	now := metav1.Now()
	pod = pod.DeepCopy()
	pod.Status.Phase, pod.Status.StartTime = corev1.PodRunning, &now
	for _, t := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	for _, c := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: program.imageID(), Ready: true, Started: ptr.To(true), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	_, err := pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

// nodeFor is where a pod goes: a DaemonSet's controller has said so already.
func nodeFor(pod *corev1.Pod, c *crew) string {
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		for _, t := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			for _, f := range t.MatchFields {
				if f.Key == metav1.ObjectNameField && len(f.Values) == 1 {
					return f.Values[0]
				}
			}
		}
	}
	return c.then.Node
}

// begin starts the program of a pod: that of one of the first pods, or the one
// of all later ones.
func (h *host) begin(ctx context.Context, pod *corev1.Pod, c *crew) (*Workload, error) {
	s, first := c.take(pod.Spec.NodeName)
	p, err := h.lab.runIn(ctx, pod, s)
	if err != nil {
		if first {
			c.first = append(c.first, s)
		}
		return nil, err
	}
	h.mu.Lock()
	h.programs[string(pod.UID)] = p
	h.mu.Unlock()
	if first {
		c.started <- p // has room for all
	}
	return p, nil
}

// take returns the stand-in for a pod on a node. Only the host's one goroutine
// calls it, once the crew is known.
func (c *crew) take(node string) (s StandIn, first bool) {
	for i, s := range c.first {
		if s.Node == node {
			c.first = append(c.first[:i:i], c.first[i+1:]...)
			return s, true
		}
	}
	s = c.then
	s.Habit, s.Age, s.Node = c.then.Then, c.then.ThenAge, node
	return s, false
}

// next waits for the program of a stand-in.
func (c *crew) next(ctx context.Context, s StandIn) (*Workload, error) {
	for {
		for i, p := range c.early {
			if p.Node == s.Node {
				c.early = append(c.early[:i], c.early[i+1:]...)
				return p, nil
			}
		}
		select {
		case p := <-c.started:
			c.early = append(c.early, p)
		case <-ctx.Done():
			return nil, fmt.Errorf("lab: the pods of %s %s/%s did not come: %w", s.Kind, s.Namespace, s.Account, ctx.Err())
		}
	}
}
