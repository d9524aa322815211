package imagecred

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// Probe runs each provider's plugin once and judges what comes of it, whether or
// not a pattern leads to the plugin: a mistake in matchImages hides what is wrong
// behind it. A provider is asked about the image of refs that its patterns match,
// mended where they need it, and else about one that they are meant for. The
// error is for the context alone.
func (h *Host) Probe(ctx context.Context, refs []Ref, pod Pod) ([]finding.Finding, error) {
	h.makeCaches()
	var out []finding.Finding
	for i := range h.Config.Providers {
		p := &h.Config.Providers[i]
		ref, ok := p.probeImage(refs)
		if !ok {
			continue // nothing that could be asked about is left of its patterns
		}
		target, err := NewTarget(ref.Repository)
		if err != nil {
			continue
		}
		o := h.provide(ctx, i, &target, pod)
		if err := ctx.Err(); err != nil {
			return out, err
		}
		out = append(out, o.findings(ref)...)
	}
	return out, nil
}

// The codes of what running a plugin shows.
const (
	codeBriefAnswer = "KC241"
	codeAnswer      = "KC242"
	codeRun         = "KC243"
	codeAudience    = "KC244"
)

// findings judges the outcome of a probe.
func (o *Outcome) findings(ref Ref) []finding.Finding {
	add := func(code, message, fix string) finding.Finding {
		f := finding.New(code, o.Provider.subject(), message)
		f.Where = o.Provider.Where("name")
		f.Fix.Summary = fix
		f.Evidence["image"] = ref.Repository
		if o.Log != "" {
			f.Evidence["kubelet"] = o.Log
		}
		if o.Run != nil && o.Run.Stderr != "" {
			for line := range strings.SplitSeq(o.Run.Stderr, "\n") {
				f.Details = append(f.Details, "it said: "+strings.TrimSpace(line))
			}
		}
		return f
	}
	switch {
	case o.Status == Failed && o.Refused:
		return []finding.Finding{add(codeAnswer, "the kubelet refuses its answer for "+ref.Repository+": "+o.Reason, "mend the plugin, or the settings by which it says so")}
	case o.Status == Failed && o.Run == nil:
		return []finding.Finding{add(codeAudience, "it is not run for "+ref.Repository+": "+o.Reason, "give nodes the right to the audience: kubecred image config --print rbac")}
	case o.Status == Failed:
		return []finding.Finding{add(codeRun, "it gives no answer for "+ref.Repository+": "+o.Reason, "mend what the plugin complains of; it runs with this program's environment here, and with the kubelet's on a node")}
	case o.Status == Unknown:
		f := add(codeAudience, "it was not run: "+o.Reason, "name an account with --service-account, and its token with --service-account-token or --cluster")
		f.Severity = finding.Info
		return []finding.Finding{f}
	}
	var out []finding.Finding
	for _, note := range o.Notes {
		out = append(out, add(codeBriefAnswer, fmt.Sprintf("its answer for %s is taken, and surprises: %s", ref.Repository, note), "mend the plugin, if that is not meant"))
		out[len(out)-1].Severity = finding.Warning
	}
	return out
}

// probeImage is the image to ask the provider about.
func (p *Provider) probeImage(refs []Ref) (Ref, bool) {
	patterns := p.mendedPatterns()
	for _, ref := range refs {
		t, err := NewTarget(ref.Repository)
		if err != nil {
			continue
		}
		for i := range patterns {
			if patterns[i].Match(&t) {
				return ref, true
			}
		}
	}
	if len(refs) > 0 {
		return Ref{}, false
	}
	for i := range patterns {
		if ref, err := ParseImage(patterns[i].sample()); err == nil && patterns[i].never == "" && len(patterns[i].labels) > 0 {
			return ref, true
		}
	}
	return Ref{}, false
}

// sample is an image that the pattern matches, as far as one can be thought of.
func (p *Pattern) sample() string {
	for _, f := range ecrForms {
		if t, err := NewTarget(f.Sample + "/x"); err == nil && p.Match(&t) {
			return f.Sample + "/kubecred-probe"
		}
	}
	labels := make([]string, len(p.labels))
	for i := range p.labels {
		labels[i] = strings.ReplaceAll(p.labels[i].text, "*", "kubecred")
	}
	image := strings.Join(labels, ".")
	if p.port != "" {
		image += ":" + p.port
	}
	switch {
	case p.path == "":
		return image + "/kubecred-probe"
	case strings.HasSuffix(p.path, "/"):
		return image + p.path + "kubecred-probe"
	}
	return image + p.path
}

// keyTypeSetting finds a setting of the plugin for the cacheKeyType of its
// answers with a value that the kubelet refuses.
func (p *Provider) keyTypeSetting() []finding.Finding {
	var out []finding.Finding
	judge := func(name, value, field string) {
		plain := strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
		if !strings.HasSuffix(plain, "cachekeytype") || value == "Image" || value == "Registry" || value == "Global" {
			return
		}
		f := finding.New(codeAnswer, p.subject(), fmt.Sprintf("sets %s to %s: the kubelet refuses an answer whose cacheKeyType is not Image, Registry or Global, in this spelling", strings.TrimLeft(name, "-"), quote(shown(value))))
		f.Severity = finding.Warning
		f.Where = p.Where(field)
		f.Fix.Summary = "write Registry, or Image where each repository has a login of its own"
		out = append(out, f)
	}
	for i, arg := range p.Args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok && strings.HasPrefix(arg, "-") && i+1 < len(p.Args) {
			value = p.Args[i+1]
		}
		if strings.HasPrefix(arg, "-") {
			judge(name, value, fmt.Sprintf("args[%d]", i))
		}
	}
	for i, e := range p.Env {
		judge(e.Name, e.Value, fmt.Sprintf("env[%d].value", i))
	}
	return out
}
