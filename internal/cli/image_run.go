package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
)

// runStory is what becomes of an image when the providers are run, for JSON.
type runStory struct {
	Attempts []attemptJSON `json:"attempts"`
	Runs     []runJSON     `json:"runs"`
	Refusal  string        `json:"refusal,omitempty"`
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
	out := runStory{Attempts: []attemptJSON{}, Runs: []runJSON{}, Refusal: s.Refusal}
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
		case imagecred.Unknown:
			out = append(out, "  open   "+o.Provider.Name+": "+o.Reason)
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
			out = append(out, line+": "+o.Reason)
			if o.Log != "" {
				out = append(out, "         the pull goes on without it, and the kubelet logs", "         "+o.Log)
			}
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
	if s.Refusal != "" {
		return append(out, "  then   pulls nothing: each pull of the pod fails with", "         "+s.Refusal)
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

// explainRun tells the story of an image whose providers are run, and says
// whether a provider failed, or the pod's pulls do.
func (a *app) explainRun(ctx context.Context, hosts []*imagecred.Host, ref imagecred.Ref, pod imagecred.Pod, e *explainer) (failed bool, err error) {
	s, err := wholeStory(ctx, hosts, ref, pod)
	if err != nil {
		return false, err
	}
	failed = s.Refusal != "" || slices.ContainsFunc(s.Outcomes, func(o imagecred.Outcome) bool {
		return o.Status == imagecred.Failed || o.Status == imagecred.Unknown
	})
	return failed, e.addStory(ref, s, a.Now())
}

// wholeStory joins what the hosts of several configs do for an image.
func wholeStory(ctx context.Context, hosts []*imagecred.Host, ref imagecred.Ref, pod imagecred.Pod) (imagecred.Story, error) {
	whole := imagecred.Story{Ref: ref}
	for _, h := range hosts {
		s, err := h.Explain(ctx, ref, pod)
		if err != nil {
			return whole, err
		}
		whole.Outcomes = append(whole.Outcomes, s.Outcomes...)
		whole.Attempts = append(whole.Attempts, s.Attempts...)
		if s.Refusal != "" {
			whole.Refusal = s.Refusal
			break
		}
		// What the pod and the node bring is there once.
		pod.Secrets, pod.NodeConfig = nil, nil
	}
	return whole, nil
}
