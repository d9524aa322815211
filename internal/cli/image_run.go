package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
)

// imageHostOptions are the flags that say on whose behalf an image is pulled.
type imageHostOptions struct {
	binDir       string
	pullSecrets  []string
	dockerConfig string
	account      string
	accountUID   string
	annotations  []string
	tokenFile    string
}

func (o *imageHostOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.binDir, "bin-dir", "", "directory of the plugins (the kubelet's --image-credential-provider-bin-dir)")
	f.StringArrayVar(&o.pullSecrets, "pull-secret", nil, "an imagePullSecret of the pod: a Secret's manifest or a docker config; may be repeated")
	f.StringVar(&o.dockerConfig, "docker-config", "", "the node's docker config, such as /var/lib/kubelet/config.json")
	f.StringVar(&o.account, "service-account", "", "NAMESPACE/NAME of the pod's service account (default: none, as for a static pod)")
	f.StringVar(&o.accountUID, "service-account-uid", "", "the account's uid, which is part of the cache key")
	f.StringArrayVar(&o.annotations, "annotation", nil, "KEY=VALUE on the service account; may be repeated")
	f.StringVar(&o.tokenFile, "service-account-token", "", "file with a token of the account for the provider's audience (kubectl create token)")
}

// pod reads the files that the flags name.
func (o *imageHostOptions) pod(stderr func(string)) (imagecred.Pod, error) {
	pod := imagecred.Pod{Namespace: "default", Name: "kubecred", ServiceAccountUID: o.accountUID}
	for _, name := range o.pullSecrets {
		d, err := readDockerConfig("imagePullSecret "+name, name)
		if err != nil {
			return pod, fmt.Errorf("--pull-secret %s: %w", name, err)
		}
		pod.Secrets = append(pod.Secrets, d)
	}
	if o.dockerConfig != "" {
		d, err := readDockerConfig("docker config of the node", o.dockerConfig)
		if err != nil {
			return pod, fmt.Errorf("--docker-config %s: %w", o.dockerConfig, err)
		}
		if len(d.Ignored) > 0 {
			stderr(fmt.Sprintf("%s: the kubelet ignores %s; it reads auths alone", o.dockerConfig, strings.Join(d.Ignored, " and ")))
		}
		pod.NodeConfig = &d
	}
	if o.account != "" {
		namespace, name, ok := strings.Cut(o.account, "/")
		if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			return pod, fmt.Errorf("--service-account %q: write NAMESPACE/NAME", o.account)
		}
		pod.Namespace, pod.ServiceAccount = namespace, name
	}
	pod.Annotations = map[string]string{}
	for _, a := range o.annotations {
		key, value, ok := strings.Cut(a, "=")
		if !ok || key == "" {
			return pod, fmt.Errorf("--annotation %q: write KEY=VALUE", a)
		}
		pod.Annotations[key] = value
	}
	if o.tokenFile == "" {
		pod.Token = func(_ context.Context, audience string) (imagecred.Secret, error) {
			return "", fmt.Errorf("%w: give one with --service-account-token, from kubectl -n %s create token %s --audience %s", imagecred.ErrNoToken, pod.Namespace, pod.ServiceAccount, audience)
		}
		return pod, nil
	}
	if o.account == "" {
		return pod, errors.New("--service-account-token needs --service-account NAMESPACE/NAME")
	}
	data, err := readBounded(o.tokenFile, 1<<20)
	if err != nil {
		return pod, fmt.Errorf("--service-account-token %s: %w", o.tokenFile, err)
	}
	token := strings.TrimSpace(string(data))
	pod.Token = func(context.Context, string) (imagecred.Secret, error) { return imagecred.Secret(token), nil }
	return pod, nil
}

func readDockerConfig(source, name string) (imagecred.DockerConfig, error) {
	data, err := readBounded(name, 10<<20)
	if err != nil {
		return imagecred.DockerConfig{}, err
	}
	return imagecred.ReadDockerConfig(source, data)
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	var path *os.PathError
	switch {
	case errors.As(err, &path):
		return nil, path.Err
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is no regular file")
	case info.Size() > limit:
		return nil, fmt.Errorf("is larger than %d MiB", limit>>20)
	}
	return os.ReadFile(name)
}

// imageHosts makes a host for each config.
func (a *app) imageHosts(configs []*imagecred.Config, o *imageHostOptions, version imagecred.Version) ([]*imagecred.Host, error) {
	if o.binDir == "" {
		return nil, errors.New("--run needs --bin-dir, the kubelet's --image-credential-provider-bin-dir")
	}
	if info, err := os.Stat(o.binDir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("--bin-dir %s: no such directory, and a kubelet does not start without it", o.binDir)
	}
	var out []*imagecred.Host
	for _, c := range configs {
		out = append(out, &imagecred.Host{Config: c, BinDir: o.binDir, Env: os.Environ(), Version: version, Now: a.Now})
	}
	return out, nil
}

// runStory is what becomes of an image when the providers are run, for JSON.
type runStory struct {
	Attempts []attemptJSON `json:"attempts"`
	Runs     []runJSON     `json:"runs"`
}

type attemptJSON struct {
	Provider     string     `json:"provider"`
	Key          string     `json:"key"`
	Username     string     `json:"username"`
	CacheKeyType string     `json:"cacheKeyType"`
	ExpiresAt    *time.Time `json:"expiresAt"`
}

type runJSON struct {
	Provider string   `json:"provider"`
	Status   string   `json:"status"`
	Seconds  float64  `json:"seconds"`
	Reason   string   `json:"reason,omitempty"`
	Log      string   `json:"kubeletLog,omitempty"`
	Stderr   string   `json:"stderr,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

func storyJSON(s imagecred.Story) runStory {
	out := runStory{Attempts: []attemptJSON{}, Runs: []runJSON{}}
	for _, t := range s.Attempts {
		j := attemptJSON{Provider: t.Provider, Key: t.Key, Username: t.Username, CacheKeyType: t.CacheKeyType}
		if !t.ExpiresAt.IsZero() {
			at := t.ExpiresAt.UTC().Truncate(time.Second)
			j.ExpiresAt = &at
		}
		out.Attempts = append(out.Attempts, j)
	}
	for _, o := range s.Outcomes {
		if o.Status == imagecred.NotAsked {
			continue
		}
		j := runJSON{Provider: o.Provider.Name, Status: string(o.Status), Reason: o.Reason, Log: o.Log, Notes: o.Notes}
		if o.Run != nil {
			j.Seconds, j.Stderr = o.Run.Took.Round(time.Millisecond).Seconds(), o.Run.Stderr
		}
		out.Runs = append(out.Runs, j)
	}
	return out
}

// runLines tell the same to a person.
func runLines(s imagecred.Story, now time.Time) []string {
	var out []string
	for _, o := range s.Outcomes {
		switch o.Status {
		case imagecred.NotAsked:
			continue
		case imagecred.Skipped:
			out = append(out, "  skip   "+o.Provider.Name+": "+o.Reason)
		case imagecred.Cached:
			out = append(out, fmt.Sprintf("  cache  %s: %s, kept by %s until %s", o.Provider.Name, count(o.Keys, "login"), o.CacheKeyType, finding.Moment(o.ExpiresAt)))
		case imagecred.Answered:
			kept := "not kept"
			if !o.ExpiresAt.IsZero() {
				kept = fmt.Sprintf("kept by %s until %s", o.CacheKeyType, finding.Moment(o.ExpiresAt))
			}
			out = append(out, fmt.Sprintf("  ran    %s in %s: %s, %s", o.Provider.Name, tookTime(o.Run.Took), count(o.Keys, "login"), kept))
		case imagecred.Failed:
			line := "  failed " + o.Provider.Name
			if o.Run != nil {
				line += " after " + tookTime(o.Run.Took)
			}
			out = append(out, line+": "+o.Reason, "         the pull goes on without it, and the kubelet logs")
			out = append(out, "         "+o.Log)
		}
		for _, n := range o.Notes {
			out = append(out, "         "+n)
		}
		if o.Run != nil && o.Run.Stderr != "" {
			for line := range strings.SplitSeq(o.Run.Stderr, "\n") {
				out = append(out, "         stderr: "+line)
			}
		}
	}
	if len(s.Attempts) == 0 {
		return append(out, "  then   pulls anonymously: there is no login")
	}
	out = append(out, "  then   tries until one is taken, and never anonymously:")
	for i, t := range s.Attempts {
		line := fmt.Sprintf("         %d. %s as %s, from %s", i+1, t.Key, loginName(t.Username), t.Provider)
		if !t.ExpiresAt.IsZero() {
			line += ", " + keptFor(t.ExpiresAt, now)
		}
		out = append(out, line)
	}
	return out
}

func keptFor(at, now time.Time) string {
	if !at.After(now) {
		return "already old"
	}
	return "for " + finding.Span(at.Sub(now))
}

func loginName(name string) string {
	if name == "" {
		return "nobody (an empty user name)"
	}
	return name
}

// tookTime writes how long a run took.
func tookTime(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// explainRun tells the stories of images whose providers are run, one after the
// other, and says whether a provider failed.
func (a *app) explainRun(ctx context.Context, hosts []*imagecred.Host, o *imageExplainOptions, ref imagecred.Ref, pod imagecred.Pod, e *explainer) (failed bool, err error) {
	whole := imagecred.Story{Ref: ref}
	for _, h := range hosts {
		s, err := h.Explain(ctx, ref, pod)
		if err != nil {
			return failed, err
		}
		whole.Outcomes = append(whole.Outcomes, s.Outcomes...)
		whole.Attempts = append(whole.Attempts, s.Attempts...)
		// What the pod and the node bring is there once.
		pod.Secrets, pod.NodeConfig = nil, nil
	}
	failed = slices.ContainsFunc(whole.Outcomes, func(o imagecred.Outcome) bool { return o.Status == imagecred.Failed })
	return failed, e.addStory(ref, whole, a.Now())
}
