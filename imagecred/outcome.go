package imagecred

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/credapi"
)

// ErrNoToken says that a provider wants a service account token and there is
// none to give.
var ErrNoToken = errors.New("no service account token was given")

// account finds what the plugin is told of the pod's service account; ok is
// false where the provider is not run.
func (h *Host) account(ctx context.Context, p *Provider, pod Pod, o *Outcome, t *Target) (account, bool) {
	var a account
	tokens := p.TokenAttributes
	if tokens == nil || tokens.Audience == "" {
		return a, true
	}
	if pod.ServiceAccount == "" {
		if tokens.RequireServiceAccount != nil && *tokens.RequireServiceAccount {
			o.Status, o.Reason = Skipped, "the pod has no service account and requireServiceAccount is true: the kubelet skips the provider without a word"
			return a, false
		}
		return a, true
	}
	a.annotations = map[string]string{}
	for _, k := range tokens.RequiredAnnotationKeys {
		v, ok := pod.Annotations[k]
		if !ok {
			o.Status = Skipped
			o.Reason = fmt.Sprintf("service account %s/%s lacks the annotation %s, which is required: the kubelet skips the provider without a word (verbosity 5 shows it)", pod.Namespace, pod.ServiceAccount, k)
			return a, false
		}
		a.annotations[k] = v
	}
	for _, k := range tokens.OptionalAnnotationKeys {
		if v, ok := pod.Annotations[k]; ok {
			a.annotations[k] = v
		}
	}
	err := ErrNoToken
	if pod.Token != nil {
		a.token, err = pod.Token(ctx, tokens.Audience)
	}
	if errors.Is(err, ErrNoToken) {
		o.Status, o.Reason = Unknown, "the plugin is given a token of the pod's service account for the audience "+tokens.Audience+", and "+err.Error()
		return a, false
	}
	if err != nil {
		*o = h.fail(*o, t, fmt.Errorf("failed to get service account token: %w", err))
		return a, false
	}
	if a.key, err = accountKey(pod.Namespace, pod.ServiceAccount, pod.ServiceAccountUID, a.annotations, tokens.CacheType, a.token.Reveal()); err != nil {
		*o = h.fail(*o, t, fmt.Errorf("error generating service account cache key: %w", err))
		return a, false
	}
	return a, true
}

// fail records a failure and what the kubelet logs of it, which changed its form
// with 1.35.
func (h *Host) fail(o Outcome, t *Target, err error) Outcome {
	o.Status = Failed
	reason := strings.TrimPrefix(err.Error(), "failed to get credential from external registry credential provider: ")
	o.Reason = oneLineOf(reason)
	if errors.Is(err, errAnswerTooLarge) {
		return o // the kubelet has no such bound
	}
	words := err.Error()
	var response *responseError
	if errors.As(err, &response) {
		words = strings.Replace(words, response.Error(), response.kubelet, 1)
	}
	if o.Run != nil && strings.Contains(words, "error execing") {
		words += ": " + o.Run.Stderr
	}
	if h.Version.Knows(StructuredFailures) {
		o.Log = fmt.Sprintf("%q err=%q provider=%q image=%q", "Failed to provide credentials for image", words, o.Provider.Name, t.Repository()) + o.whose
	} else {
		o.Log = strings.Replace(words, "failed to get credential from external registry credential provider", "Failed getting credential from external registry credential provider", 1)
	}
	return o
}

func oneLineOf(s string) string { return strings.Join(strings.Fields(s), " ") }

// judge finds what is surprising about an answer that the kubelet takes.
func (h *Host) judge(t *Target, r credapi.ProviderResponse) []string {
	var out []string
	if d := r.CacheDuration; d != nil {
		switch {
		case *d < 0:
			out = append(out, fmt.Sprintf("cacheDuration is negative (%s): the answer is old at once, so the plugin runs for every pull", *d))
		case *d > 0 && *d < time.Second:
			out = append(out, fmt.Sprintf("cacheDuration is %s: in effect nothing is cached, and the plugin runs for every pull", *d))
		}
	}
	if len(r.Auth) == 0 {
		return append(out, "the answer holds no login, and that is kept as long as one would be")
	}
	var keys []string
	matched := false
	for location := range r.Auth {
		key, ok := keyOf(location)
		if !ok {
			out = append(out, "the key "+quote(shown(location))+" cannot be parsed, and the kubelet drops it")
			continue
		}
		p, err := Compile(key)
		matched = matched || err == nil && p.Match(t) || key == defaultRegistry && onDockerHub(t.repository)
		keys = append(keys, shown(key))
	}
	if !matched && len(keys) > 0 {
		slices.Sort(keys)
		out = append(out, "no key of the answer matches the image, so its login is not used: "+strings.Join(keys, ", "))
	}
	if r.CacheKeyType == credapi.CacheGlobal {
		out = append(out, "cacheKeyType is Global: this answer is used for every image that the provider matches")
	}
	return out
}
