package cluster

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

func gitVersion(body []byte) string {
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	return v.GitVersion
}

func (r *reader) readPods(ctx context.Context) error {
	tokenSecrets := map[string]int{}
	for i, s := range r.out.Secrets {
		tokenSecrets[s.Namespace+"/"+s.Name] = i
	}
	keep := func(p *corev1.Pod) {
		names := podSecrets(p, tokenSecrets)
		for _, n := range names {
			// The cleaner counts finished pods too.
			r.out.Secrets[tokenSecrets[p.Namespace+"/"+n]].Mounted = true
		}
		if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			r.out.Finished++
			return
		}
		r.out.Pods = append(r.out.Pods, r.trim(p, names))
	}
	err := r.each(ctx, "pods", metav1.ListOptions{}, listing{
		page: func(ctx context.Context, ns string, o metav1.ListOptions) (string, error) {
			var list corev1.PodList
			if err := r.kube.core.list(ctx, "pods", ns, o, &list); err != nil {
				return "", err
			}
			for i := range list.Items {
				keep(&list.Items[i])
			}
			return list.Continue, nil
		},
		watch: func(ctx context.Context, ns string, o metav1.ListOptions) (watch.Interface, error) {
			return r.streamKube.core.watch(ctx, "pods", ns, o)
		},
		keep: func(o runtime.Object) {
			if p, ok := o.(*corev1.Pod); ok {
				keep(p)
			}
		},
		mark: func() func() {
			pods, finished := len(r.out.Pods), r.out.Finished
			return func() { r.out.Pods, r.out.Finished = r.out.Pods[:pods], finished }
		},
	})
	sortPods(r.out.Pods)
	return err
}

// trim keeps of a pod what decides over its tokens.
func (r *reader) trim(p *corev1.Pod, secrets []string) Pod {
	out := Pod{
		Namespace: r.word(p.Namespace), Name: p.Name, UID: string(p.UID),
		Node: r.word(p.Spec.NodeName), Account: r.word(p.Spec.ServiceAccountName),
		Created: p.CreationTimestamp.UTC(), Secrets: secrets,
	}
	if p.Status.StartTime != nil {
		out.Started = p.Status.StartTime.UTC()
	}
	out.Owner, out.Above = r.ownerOf(p.Namespace, p.Name, p.Labels, metav1.GetControllerOf(p))
	images := map[string]string{}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		images[c.Name] = c.Image
	}
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if s.State.Running != nil {
			out.Containers = append(out.Containers, Container{r.word(s.Name), r.word(images[s.Name]), s.State.Running.StartedAt.UTC()})
		}
	}
	if out.Containers == nil && p.Status.StartTime == nil {
		// A pod that waits has no process, but its images say what it will be.
		for _, c := range p.Spec.Containers {
			out.Containers = append(out.Containers, Container{Name: r.word(c.Name), Image: r.word(c.Image)})
		}
	}
	out.Tokens = r.tokenVolumes(p)
	return out
}

// tokenVolumes returns the tokens that the kubelet mounts, with the path at
// which the first container sees each.
func (r *reader) tokenVolumes(p *corev1.Pod) []TokenVolume {
	var out []TokenVolume
	for _, v := range p.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if t := s.ServiceAccountToken; t != nil {
				life := time.Hour // the API's default
				if t.ExpirationSeconds != nil {
					life = time.Duration(*t.ExpirationSeconds) * time.Second
				}
				out = append(out, TokenVolume{r.word(path.Join(mountPath(p, v.Name), t.Path)), r.word(t.Audience), life})
			}
		}
	}
	return out
}

func mountPath(p *corev1.Pod, volume string) string {
	for _, c := range p.Spec.Containers {
		for _, m := range c.VolumeMounts {
			if m.Name == volume {
				return m.MountPath
			}
		}
	}
	return ""
}

// podSecrets returns which of the known secrets a pod uses, in the ways that
// the cleaner looks for as well.
func podSecrets(p *corev1.Pod, known map[string]int) []string {
	var names []string
	add := func(name string) {
		if _, ok := known[p.Namespace+"/"+name]; ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(known) == 0 {
		return nil
	}
	for _, s := range p.Spec.ImagePullSecrets {
		add(s.Name)
	}
	for _, v := range p.Spec.Volumes {
		if v.Secret != nil {
			add(v.Secret.SecretName)
		}
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				if s.Secret != nil {
					add(s.Secret.Name)
				}
			}
		}
	}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, e := range c.EnvFrom {
			if e.SecretRef != nil {
				add(e.SecretRef.Name)
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				add(e.ValueFrom.SecretKeyRef.Name)
			}
		}
	}
	return names
}
