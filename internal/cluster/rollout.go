package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RestartedAt is the annotation of the pod template by which kubectl asks for a
// restart (k8s.io/kubectl pkg/polymorphichelpers/objectrestarter.go). The same
// one is used here, so that both see each other's restarts.
const RestartedAt = "kubectl.kubernetes.io/restartedAt"

// fieldManager is the name under which the annotation is applied.
const fieldManager = "kubecred"

// The strategies of rollouts.
const (
	RollingUpdate = "RollingUpdate"
	Recreate      = "Recreate"
	OnDelete      = "OnDelete"
)

// Rollout is a Deployment, DaemonSet or StatefulSet and how far it is.
type Rollout struct {
	Ref Ref
	UID string
	// Desired is how many pods there should be, Total how many there are;
	// Updated, Ready and Available count those of the newest template.
	Desired, Total, Updated, Ready, Available int
	// Seen tells that the controller has seen the newest template.
	Seen     bool
	Strategy string
	// Down is how many pods a rollout takes away at once before their successors
	// are ready.
	Down int
	// Partition is the ordinal below which a StatefulSet's pods stay as they are.
	Partition int
	Paused    bool
	// RestartedAt is when somebody asked for a restart last, zero for never.
	RestartedAt time.Time
	Labels      map[string]string // of its pods
	// Stuck is why the controller has given up, "" while it goes on. Trouble is
	// what it says that keeps it from making pods, if anything.
	Stuck, Trouble string

	// Mixed tells that a StatefulSet has pods of two revisions.
	Mixed bool
}

// Done tells whether all pods are of the newest template and available.
func (r Rollout) Done() bool {
	return r.Seen && !r.Mixed && r.Updated >= r.Desired && r.Total <= max(r.Updated, r.Desired) && r.Available >= r.Desired
}

// Progress is how far a rollout is, for a person.
func (r Rollout) Progress() string {
	if !r.Seen {
		return "its controller has not begun"
	}
	text := fmt.Sprintf("%d of %d pods are new, %d available", min(r.Updated, r.Desired), r.Desired, r.Available)
	if r.Trouble != "" {
		text += "; " + r.Trouble
	}
	return text
}

// CanRestart tells whether the kind is one that a restart works on.
func CanRestart(kind string) bool {
	return kind == "Deployment" || kind == "DaemonSet" || kind == "StatefulSet"
}

// ErrGone says that an object is not there any more.
type ErrGone struct{ Ref Ref }

func (e ErrGone) Error() string { return e.Ref.Namespace + "/" + e.Ref.String() + " is not there" }

// Rollout reads the state of a workload. The error is an ErrGone where it does
// not exist.
func (c *Client) Rollout(ctx context.Context, r Ref) (Rollout, error) {
	var out Rollout
	var err error
	switch r.Kind {
	case "Deployment":
		var d appsv1.Deployment
		if err = c.kube.apps.get(ctx, "deployments", r.Namespace, r.Name, &d); err == nil {
			out = fromDeployment(&d)
		}
	case "DaemonSet":
		var d appsv1.DaemonSet
		if err = c.kube.apps.get(ctx, "daemonsets", r.Namespace, r.Name, &d); err == nil {
			out = fromDaemonSet(&d)
		}
	case "StatefulSet":
		var s appsv1.StatefulSet
		if err = c.kube.apps.get(ctx, "statefulsets", r.Namespace, r.Name, &s); err == nil {
			out = fromStatefulSet(&s)
		}
	default:
		return out, fmt.Errorf("%s/%s: a %s cannot be restarted by its template", r.Namespace, r, r.Kind)
	}
	if apierrors.IsNotFound(err) {
		return out, ErrGone{r}
	}
	if err != nil {
		return out, fmt.Errorf("%s/%s: %w", r.Namespace, r, err)
	}
	out.Ref = r
	return out, nil
}

func fromDeployment(d *appsv1.Deployment) Rollout {
	s := d.Status
	out := common(d.ObjectMeta, d.Spec.Template, d.Spec.Replicas, s.ObservedGeneration)
	out.Total, out.Updated, out.Ready, out.Available = int(s.Replicas), int(s.UpdatedReplicas), int(s.ReadyReplicas), int(s.AvailableReplicas)
	out.Paused, out.Strategy = d.Spec.Paused, string(d.Spec.Strategy.Type)
	if out.Strategy == Recreate {
		out.Down = out.Desired
	} else if u := d.Spec.Strategy.RollingUpdate; u != nil {
		out.Down = scaled(u.MaxUnavailable, out.Desired, false)
		if out.Down == 0 && scaled(u.MaxSurge, out.Desired, true) == 0 {
			out.Down = 1 // the controller does the same, or it could not go on
		}
	}
	for _, c := range s.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			out.Trouble = c.Message
		}
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && c.Reason == "ProgressDeadlineExceeded" {
			out.Stuck = "its progress deadline is over: " + c.Message
		}
	}
	return out
}

func fromDaemonSet(d *appsv1.DaemonSet) Rollout {
	s := d.Status
	out := common(d.ObjectMeta, d.Spec.Template, &s.DesiredNumberScheduled, s.ObservedGeneration)
	out.Total, out.Updated, out.Ready, out.Available = int(s.CurrentNumberScheduled), int(s.UpdatedNumberScheduled), int(s.NumberReady), int(s.NumberAvailable)
	out.Strategy = string(d.Spec.UpdateStrategy.Type)
	if u := d.Spec.UpdateStrategy.RollingUpdate; u != nil {
		out.Down = scaled(u.MaxUnavailable, out.Desired, true)
	}
	return out
}

func fromStatefulSet(d *appsv1.StatefulSet) Rollout {
	s := d.Status
	out := common(d.ObjectMeta, d.Spec.Template, d.Spec.Replicas, s.ObservedGeneration)
	out.Total, out.Updated, out.Ready, out.Available = int(s.Replicas), int(s.UpdatedReplicas), int(s.ReadyReplicas), int(s.AvailableReplicas)
	out.Mixed, out.Strategy, out.Down = s.CurrentRevision != s.UpdateRevision, string(d.Spec.UpdateStrategy.Type), min(1, out.Desired)
	if u := d.Spec.UpdateStrategy.RollingUpdate; u != nil {
		if u.Partition != nil {
			out.Partition = int(*u.Partition)
		}
		if u.MaxUnavailable != nil {
			out.Down = max(1, scaled(u.MaxUnavailable, out.Desired, false))
		}
	}
	return out
}

func common(m metav1.ObjectMeta, template corev1.PodTemplateSpec, replicas *int32, observed int64) Rollout {
	out := Rollout{UID: string(m.UID), Desired: 1, Seen: observed >= m.Generation, Labels: template.Labels}
	if replicas != nil {
		out.Desired = int(*replicas)
	}
	if t, err := time.Parse(time.RFC3339, template.Annotations[RestartedAt]); err == nil {
		out.RestartedAt = t.UTC()
	}
	return out
}

// scaled is a number or a percentage of all pods.
func scaled(v *intstr.IntOrString, all int, up bool) int {
	if v == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(v, all, up)
	if err != nil {
		return 0
	}
	return min(n, all)
}

// Restart asks the workload's controller to replace its pods, by the annotation
// that kubectl uses. It is server-side apply of that one field, so it takes
// nothing else over. The uid keeps it from touching another object of the name.
func (c *Client) Restart(ctx context.Context, r Rollout, at time.Time) error {
	body, err := json.Marshal(map[string]any{
		"apiVersion": "apps/v1", "kind": r.Ref.Kind,
		"metadata": map[string]any{"name": r.Ref.Name, "namespace": r.Ref.Namespace, "uid": r.UID},
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
			"annotations": map[string]any{RestartedAt: at.UTC().Format(time.RFC3339)}}}},
	})
	if err != nil {
		return err
	}
	// kubectl may own the annotation from an earlier restart: force takes it over.
	force := true
	o := metav1.PatchOptions{FieldManager: fieldManager, Force: &force}
	switch r.Ref.Kind {
	case "Deployment":
		err = c.kube.apps.apply(ctx, "deployments", r.Ref.Namespace, r.Ref.Name, body, o)
	case "DaemonSet":
		err = c.kube.apps.apply(ctx, "daemonsets", r.Ref.Namespace, r.Ref.Name, body, o)
	case "StatefulSet":
		err = c.kube.apps.apply(ctx, "statefulsets", r.Ref.Namespace, r.Ref.Name, body, o)
	default:
		return fmt.Errorf("%s/%s: a %s cannot be restarted by its template", r.Ref.Namespace, r.Ref, r.Ref.Kind)
	}
	if err != nil {
		return fmt.Errorf("%s/%s: %w", r.Ref.Namespace, r.Ref, err)
	}
	return nil
}

// PodsOf lists the pods of a workload's newest template: those with its labels.
func (c *Client) PodsOf(ctx context.Context, r Rollout) ([]Pod, error) {
	var out []Pod
	o := metav1.ListOptions{LabelSelector: labels.SelectorFromSet(r.Labels).String()}
	err := pages(ctx, r.Ref.Namespace, o, metadataLister(c.meta.Resource(podResource), func(m *metav1.PartialObjectMetadata) {
		if m.DeletionTimestamp == nil {
			out = append(out, Pod{Namespace: m.Namespace, Name: m.Name, UID: string(m.UID), Created: m.CreationTimestamp.UTC()})
		}
	}))
	if err != nil {
		return nil, fmt.Errorf("the pods of %s/%s: %w", r.Ref.Namespace, r.Ref, err)
	}
	return out, nil
}
