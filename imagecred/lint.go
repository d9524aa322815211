package imagecred

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// LintOptions say what a config is judged for.
type LintOptions struct {
	// Version is the kubelets' minor version; 0 judges for the current one and
	// adds which versions know what the config uses.
	Version Version
	// BinDir is the directory of the plugins' binaries, "" for not to look there.
	BinDir string
}

// Lint returns everything to say of the config: its Problems, what is valid and
// surprising, and what is good to know. It reads nothing but BinDir.
func Lint(c *Config, o LintOptions) []finding.Finding {
	out := append([]finding.Finding(nil), c.Problems...)
	for i := range c.Files {
		out = append(out, c.Files[i].lint()...)
	}
	for _, name := range c.Ignored {
		f := finding.New(codeIgnoredFile, "config", "the kubelet does not read this: it reads files of the directory itself whose names end in .json, .yaml or .yml")
		f.Where.File = name
		f.Fix.Summary = "rename it, if it was meant to be read"
		out = append(out, f)
	}
	for i := range c.Providers {
		p := &c.Providers[i]
		for k := range p.MatchImages {
			out = append(out, p.lintPattern(k)...)
		}
		out = append(out, p.lint()...)
	}
	out = append(out, bothAsked(c.Providers)...)
	if o.BinDir != "" {
		out = append(out, lintBinaries(c, o.BinDir)...)
	}
	if o.Version == 0 {
		out = append(out, c.needs()...)
	}
	return out
}

func (f *File) lint() []finding.Finding {
	if f.dropped.Line == 0 {
		return nil
	}
	d := finding.New(codeSecondDoc, "config", "a second YAML document begins here, and the kubelet drops it without a word: it reads the first document of a file only")
	d.Where = f.dropped
	d.Fix.Summary = "put its providers into the list of the first document, or into a file of its own in a directory (kubelet " + Since(ConfigDirectory).String() + " or later)"
	return []finding.Finding{d}
}

// lintPattern judges one pattern by itself, and against those before it.
func (p *Provider) lintPattern(k int) []finding.Finding {
	var out []finding.Finding
	text := p.MatchImages[k]
	subject := p.subject() + ", pattern " + strconv.Itoa(k+1) + " " + quote(shown(text))
	where := p.Where(fmt.Sprintf("matchImages[%d]", k))
	covering := p.coveredBy(k)
	for _, fault := range Faults(text) {
		if fault.Code == codePathPrefix && covering >= 0 {
			continue // what is beside the path is asked for anyway
		}
		f := finding.New(fault.Code, subject, shown(fault.Message))
		f.Where = where
		if fault.Never {
			f.Severity = finding.Error
		}
		if fault.Instead != "" {
			f.Fix.Summary = "write " + quote(fault.Instead)
			f.Evidence["instead"] = fault.Instead
		}
		f.Evidence["pattern"] = shown(text)
		if fault.Code == codePathPrefix && fault.Instead != "" {
			f.Fix.Summary += ", if only what is below it is meant"
		}
		out = append(out, f)
	}
	if covering >= 0 {
		q := &p.Patterns[covering]
		message := "pattern " + strconv.Itoa(covering+1) + " " + quote(shown(q.text)) + " matches all of this already"
		if q.text == text {
			message = "the pattern is there twice, first as pattern " + strconv.Itoa(covering+1)
		}
		f := finding.New(codeDuplicate, subject, message)
		f.Where = where
		f.Fix.Summary = "take it out: it changes nothing"
		out = append(out, f)
	}
	return out
}

// coveredBy is the earlier pattern that matches everything the k-th does, -1 for
// none.
func (p *Provider) coveredBy(k int) int {
	if q := &p.Patterns[k]; q.never != "" || len(q.labels) == 0 {
		return -1
	}
	return slices.IndexFunc(p.Patterns[:k], func(earlier Pattern) bool { return earlier.covers(&p.Patterns[k]) })
}

// covers tells whether p surely matches every image that q matches.
func (p *Pattern) covers(q *Pattern) bool {
	if len(p.labels) == 0 || p.never != "" || len(p.labels) != len(q.labels) || p.port != q.port || !strings.HasPrefix(q.path, p.path) {
		return false
	}
	for i := range p.labels {
		a, b := &p.labels[i], &q.labels[i]
		if a.kind != anything && a.text != b.text && !(b.kind == literal && a.match(b.text)) {
			return false
		}
	}
	return true
}

// lint judges the provider beside its patterns.
func (p *Provider) lint() []finding.Finding {
	var out []finding.Finding
	if d := p.DefaultCacheDuration; d != nil && *d == 0 && p.has("defaultCacheDuration") && !p.badDuration() {
		f := finding.New(codeNoCache, p.subject(), "defaultCacheDuration is 0: unless the plugin's answer says how long it lasts, the plugin runs for every pull")
		f.Where = p.Where("defaultCacheDuration")
		f.Fix.Summary = "nothing, if that is meant"
		out = append(out, f)
	}
	if strings.HasSuffix(strings.ToLower(p.Name), ".exe") {
		f := finding.New(codeExe, p.subject(), "the name ends in .exe, which is right on no node but Windows, where it is not needed")
		f.Where = p.Where("name")
		f.Fix.Summary = "write " + quote(p.Name[:len(p.Name)-len(".exe")]) + ": on Windows the ending is found by itself"
		out = append(out, f)
	}
	if strings.HasPrefix(p.Name, "docker-credential-") {
		out = append(out, p.dockerHelper("the name is that of a docker credential helper, which speaks another protocol"))
	}
	out = append(out, p.keyTypeSetting()...)
	if p.asksECR() {
		if open := uncoveredECR(p.mendedPatterns()); len(open) > 0 {
			out = append(out, p.ecrFinding(open))
		}
	}
	return out
}

// badDuration tells whether the duration is 0 only because it cannot be read.
func (p *Provider) badDuration() bool {
	n := p.places.values[p.path()+".defaultCacheDuration"]
	_, bad := judgeType("duration", n)
	return bad
}

func (p *Provider) dockerHelper(message string) finding.Finding {
	f := finding.New(codeProtocol, p.subject(), message)
	f.Where = p.Where("name")
	f.Fix.Summary = "install a kubelet credential provider, such as ecr-credential-provider or kubecred-aws, instead of the helper for docker"
	return f
}

// asksECR tells whether the provider is for ECR, by its name or its patterns.
func (p *Provider) asksECR() bool {
	if strings.Contains(p.Name, "ecr") {
		return true
	}
	for i := range p.Patterns {
		labels := p.Patterns[i].hostLabels()
		if _, ok := readECRHost(labels); ok || strings.Join(labels, ".") == "public.ecr.aws" {
			return true
		}
	}
	return false
}

// mendedPatterns are the patterns as they are after the advice of their faults.
func (p *Provider) mendedPatterns() []Pattern {
	out := append([]Pattern(nil), p.Patterns...)
	for _, text := range p.MatchImages {
		for _, fault := range Faults(text) {
			if mended, err := Compile(fault.Instead); err == nil && fault.Instead != "" {
				out = append(out, mended)
			}
		}
	}
	return out
}

func (p *Provider) ecrFinding(open []ECRForm) finding.Finding {
	plural := "s"
	if len(open) == 1 {
		plural = ""
	}
	f := finding.New(codeECRUncovered, p.subject(), fmt.Sprintf("%d form%s of ECR host that no pattern covers; images there are pulled without this provider", len(open), plural))
	f.Where = p.Where("")
	var patterns []any
	for _, form := range open {
		f.Details = append(f.Details, fmt.Sprintf("%-26s %s", form.Name, form.Pattern))
		patterns = append(patterns, form.Pattern)
	}
	f.Fix.Summary = "add those that the cluster pulls from"
	f.Evidence["uncovered"] = patterns
	return f
}

// bothAsked finds patterns of different providers that are the same.
func bothAsked(providers []Provider) []finding.Finding {
	var out []finding.Finding
	first := map[string]*Provider{}
	for i := range providers {
		p := &providers[i]
		for k, m := range p.MatchImages {
			q, seen := first[m]
			if !seen {
				first[m] = p
				continue
			}
			if q == p || p.Patterns[k].never != "" {
				continue
			}
			f := finding.New(codeBothAsked, p.subject()+", pattern "+strconv.Itoa(k+1)+" "+quote(shown(m)),
				q.subject()+" has the same pattern: both are asked for each image, and of equal keys in their answers the earlier provider's is tried first")
			f.Where = p.Where(fmt.Sprintf("matchImages[%d]", k))
			f.Fix.Summary = "nothing, if both are meant"
			out = append(out, f)
		}
	}
	return out
}

// needs says which kubelets can read the config.
func (c *Config) needs() []finding.Finding {
	if len(c.Problems) > 0 || len(c.Files) == 0 {
		return nil
	}
	need, why := Version(0), ""
	raise := func(f Feature, what string) {
		if v := Since(f); v > need {
			need, why = v, what
		}
	}
	older := false
	for _, f := range c.Files {
		raise(Feature(f.APIVersion), "apiVersion "+f.APIVersion)
		older = older || Feature(f.APIVersion) == ConfigV1
	}
	for i := range c.Providers {
		raise(Feature(c.Providers[i].APIVersion), "the provider's apiVersion "+c.Providers[i].APIVersion)
		if c.Providers[i].TokenAttributes != nil {
			raise(CacheTypeField, "tokenAttributes with cacheType")
		}
	}
	if c.Directory {
		raise(ConfigDirectory, "a directory of configs")
	}
	if need <= Since(ConfigV1beta1) {
		return nil
	}
	f := finding.New(codeNeeds, "config", fmt.Sprintf("read by kubelets from %s on, because of %s", need, why))
	f.Where, _ = c.Files[0].places.value("apiVersion")
	if older && need == Since(ConfigV1) {
		f.Details = append(f.Details, fmt.Sprintf("kubelets of 1.24 and 1.25 know %s, older ones %s, and stop at any other", ConfigV1beta1, ConfigV1alpha1))
	}
	f.Fix.Summary = "nothing, if no node is older; --kubernetes-version judges for one version"
	f.Evidence["kubelet"] = need.String()
	return []finding.Finding{f}
}
