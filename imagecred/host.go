package imagecred

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kubecred/kubecred/credapi"
)

// Host does what the kubelet does with its providers: it runs them, keeps their
// answers and puts the logins in order. Its cache lives as long as it does. It
// may be used by one goroutine at a time.
type Host struct {
	Config *Config
	BinDir string
	// Env is the environment that plugins get besides their own variables.
	Env []string
	// Version decides what differs between kubelets; 0 is [Current].
	Version Version
	Now     func() time.Time
	// Timeout bounds a run; 0 is [PluginTimeout].
	Timeout time.Duration

	once   sync.Once
	caches []cache
}

// Pod is on whose behalf an image is pulled. The zero value is a pod without a
// service account, as a static pod is.
type Pod struct {
	Namespace, Name, UID string
	// ServiceAccount is the name of its account, "" for none.
	ServiceAccount    string
	ServiceAccountUID string
	// Annotations are those of the service account.
	Annotations map[string]string
	// Token returns a token of the account for an audience.
	Token func(ctx context.Context, audience string) (Secret, error)
	// Secrets are its imagePullSecrets, NodeConfig the node's docker config.
	Secrets    []DockerConfig
	NodeConfig *DockerConfig
}

// Status is what became of asking a provider.
type Status string

// The statuses.
const (
	NotAsked Status = "not asked" // no pattern matches
	Skipped  Status = "skipped"   // by the rules of tokenAttributes, silently
	Cached   Status = "cached"
	Answered Status = "answered"
	Failed   Status = "failed" // the pull goes on without it
	// Unknown: the provider is given a token of the pod's account, and there was
	// none to give. A kubelet would have got one, or have failed.
	Unknown Status = "unknown"
)

// Outcome is what became of asking one provider about one image.
type Outcome struct {
	Provider *Provider
	Status   Status
	// Reason says why it was skipped or failed.
	Reason string
	// Log is the line in the kubelet's log, "" where it logs nothing at its usual
	// verbosity.
	Log string
	// Run is nil where nothing was run.
	Run *Run
	// Keys counts the logins of the answer.
	Keys         int
	CacheKeyType string
	// ExpiresAt is when the kubelet forgets the answer; zero: it does not keep it.
	ExpiresAt time.Time
	// Refused says that the plugin answered and the kubelet does not take it.
	Refused bool
	// Notes are what is surprising about the answer.
	Notes []string

	logins map[string]Login
	// whose is what the kubelet's log adds in service account mode.
	whose string
}

// Story is what a kubelet does for one image.
type Story struct {
	Ref      Ref
	Outcomes []Outcome
	// Attempts are the logins in the order in which they are tried. Where there
	// is none, the image is pulled anonymously; where there is one, it never is.
	Attempts []Attempt
	// Refusal is why the kubelet does not even try, in its words, as the pod's
	// status has them; "" where it does.
	Refusal string
}

// Explain asks the providers about an image and puts all logins in order. What
// a provider does wrong is in the story, as the kubelet goes on without it; the
// error is for the context alone.
func (h *Host) Explain(ctx context.Context, ref Ref, pod Pod) (Story, error) {
	h.makeCaches()
	s := Story{Ref: ref}
	for _, d := range pod.Secrets {
		if d.Broken != "" {
			s.Refusal = d.Source + ": " + d.Broken
			return s, nil
		}
	}
	target, _ := NewTarget(ref.Repository)
	var plugins keyring
	for i := range h.Config.Providers {
		o := h.ask(ctx, i, &target, pod)
		if err := ctx.Err(); err != nil {
			return s, err
		}
		plugins.add(Attempt{Provider: o.Provider.Name, CacheKeyType: o.CacheKeyType, ExpiresAt: o.ExpiresAt}, o.logins)
		s.Outcomes = append(s.Outcomes, o)
	}
	// imagePullSecrets, then the node's docker config, then plugins
	// (makeLookupPullCredentialsFunc in pkg/kubelet/images/image_manager.go).
	var secrets, node keyring
	for _, d := range pod.Secrets {
		secrets.add(Attempt{Provider: d.Source}, d.Logins)
	}
	if pod.NodeConfig != nil {
		node.add(Attempt{Provider: pod.NodeConfig.Source}, pod.NodeConfig.Logins)
	}
	s.Attempts = append(s.Attempts, secrets.lookup(&target)...)
	s.Attempts = append(s.Attempts, node.lookup(&target)...)
	s.Attempts = append(s.Attempts, plugins.lookup(&target)...)
	return s, nil
}

func (h *Host) makeCaches() {
	h.once.Do(func() {
		h.caches = make([]cache, len(h.Config.Providers))
		for i := range h.caches {
			h.caches[i] = cache{}
		}
	})
}

// account is what of a pod's service account matters to a plugin.
type account struct {
	key         string
	token       Secret
	annotations map[string]string
}

// ask asks the i-th provider if it is for the image.
func (h *Host) ask(ctx context.Context, i int, t *Target, pod Pod) Outcome {
	if p := &h.Config.Providers[i]; !p.Matches(t) {
		return Outcome{Provider: p, Status: NotAsked}
	}
	return h.provide(ctx, i, t, pod)
}

// provide asks the i-th provider (provide in pkg/credentialprovider/plugin/plugin.go).
func (h *Host) provide(ctx context.Context, i int, t *Target, pod Pod) Outcome {
	p := &h.Config.Providers[i]
	o := Outcome{Provider: p, Status: NotAsked}
	if p.TokenAttributes != nil && p.TokenAttributes.Audience != "" {
		o.whose = fmt.Sprintf(" pod=%q podUID=%q serviceAccount=%q", pod.Namespace+"/"+pod.Name, pod.UID, pod.Namespace+"/"+pod.ServiceAccount)
	}
	acct, ok := h.account(ctx, p, pod, &o, t)
	if !ok {
		return o
	}
	e, found, err := h.caches[i].find(t, acct.key, h.now())
	if err != nil {
		return h.fail(o, t, fmt.Errorf("failed to get cached docker config: error generating cache key: %w", err))
	}
	if found {
		o.Status, o.logins, o.Keys, o.CacheKeyType, o.ExpiresAt = Cached, e.logins, len(e.logins), e.keyType, e.expiresAt
		return o
	}
	out, run, err := h.runPlugin(ctx, p, credapi.ProviderRequest{
		Image: t.Repository(), ServiceAccountToken: acct.token.Reveal(), ServiceAccountAnnotations: acct.annotations,
	})
	o.Run = &run
	if run.Held {
		o.Notes = append(o.Notes, "a child of the plugin kept its stdout open: a kubelet waits until that ends, however long it takes, and the pull with it")
	}
	if err != nil {
		return h.fail(o, t, fmt.Errorf("failed to get credential from external registry credential provider: %w", err))
	}
	response, err := decodeResponse(out, p.APIVersion)
	if err != nil {
		o.Refused = true
		var refused *responseError
		if !errors.As(err, &refused) || !refused.decoded {
			err = fmt.Errorf("failed to get credential from external registry credential provider: %w", err)
		}
		return h.fail(o, t, err)
	}
	return h.keep(i, o, t, response, acct)
}

// responseError is an answer that the kubelet refuses: in its words, and what
// stands behind them.
type responseError struct {
	kubelet string
	why     error
	decoded bool // it was decoded, and refused then
}

func (e *responseError) Error() string { return e.kubelet + " (" + e.why.Error() + ")" }

// decodeResponse decodes an answer as strictly as the kubelet does.
func decodeResponse(data []byte, apiVersion string) (credapi.ProviderResponse, error) {
	var meta struct {
		APIVersion   string `json:"apiVersion"`
		Kind         string `json:"kind"`
		CacheKeyType any    `json:"cacheKeyType"`
	}
	if err := json.Unmarshal(data, &meta); err != nil {
		_, why := credapi.ParseProviderResponse(data)
		if why == nil {
			why = errors.New("not JSON")
		}
		return credapi.ProviderResponse{}, &responseError{kubelet: "error reading GVK from response: couldn't get version/kind; json parse error: ...", why: why}
	}
	if meta.APIVersion != apiVersion {
		return credapi.ProviderResponse{}, fmt.Errorf("apiVersion from credential plugin response did not match expected apiVersion:%s, actual apiVersion:%s", apiVersion, shown(meta.APIVersion))
	}
	response, err := credapi.ParseProviderResponse(data)
	var field *credapi.FieldError
	switch {
	case errors.As(err, &field) && field.Field == "cacheKeyType" && isText(meta.CacheKeyType):
		value, _ := meta.CacheKeyType.(string)
		return response, &responseError{"credential provider plugin did not return a valid cacheKeyType: " + shown(value), err, true}
	case err != nil:
		return response, &responseError{kubelet: "error decoding credential provider plugin response from stdout", why: err}
	}
	return response, nil
}

// isText tells whether a JSON value decodes into a Go string.
func isText(v any) bool {
	_, ok := v.(string)
	return ok || v == nil
}

// keep turns an answer into logins and keeps it as long as the kubelet would.
func (h *Host) keep(i int, o Outcome, t *Target, r credapi.ProviderResponse, acct account) Outcome {
	p := o.Provider
	tokens := p.TokenAttributes
	o.logins = map[string]Login{}
	for location, auth := range r.Auth {
		if acct.token != "" && tokens != nil && tokens.CacheType != "Token" && auth.Password == acct.token.Reveal() && h.Version.Knows(CacheTypeField) {
			o.logins, o.Refused = nil, true
			return h.fail(o, t, errors.New("credential provider plugin returned the service account token as the password which is not allowed when service account cache type is not set to 'Token'"))
		}
		o.logins[location] = Login{auth.Username, Secret(auth.Password)}
	}
	o.Status, o.Keys, o.CacheKeyType = Answered, len(o.logins), string(r.CacheKeyType)
	o.Notes = append(o.Notes, h.judge(t, r)...)
	life := r.CacheDuration
	if life == nil {
		life = p.DefaultCacheDuration
	}
	if life == nil || *life == 0 {
		return o
	}
	base := map[credapi.CacheKeyType]string{
		credapi.CacheByImage: t.Repository(), credapi.CacheByRegistry: t.Registry(), credapi.CacheGlobal: globalKey,
	}[r.CacheKeyType]
	key, err := cacheKey(base, acct.key)
	if err != nil {
		o.Notes = append(o.Notes, "the answer is used and not kept: "+err.Error())
		return o
	}
	o.ExpiresAt = h.now().Add(*life)
	h.caches[i][key] = entry{o.logins, o.CacheKeyType, o.ExpiresAt}
	return o
}

func (h *Host) now() time.Time {
	if h.Now == nil {
		return time.Now()
	}
	return h.Now()
}
