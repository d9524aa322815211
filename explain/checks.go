package explain

import (
	"runtime"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/iammap"
	"github.com/kubecred/kubecred/imagecred"
	"github.com/kubecred/kubecred/inspect"
	"github.com/kubecred/kubecred/kubeconfig"
)

// The checks of the roads judge what they know; explain judges none of it
// again. Each of these functions gives a piece to its road and notes what comes
// back, with places turned into those of the input.

// text returns the document's text as its road's check wants it.
func (d *document) text(n *yaml.Node) (data []byte, line, column int, ok bool) {
	if n == d.root && d.source != "" {
		return []byte(d.source), d.line, d.column, true
	}
	out, err := yaml.Marshal(n)
	if err != nil {
		return nil, 0, 0, false
	}
	return out, -1, 0, true
}

// placed turns the places of findings in a part into places in the input.
func (d *document) placed(fs []finding.Finding, n *yaml.Node, line, column int) []finding.Finding {
	for i := range fs {
		w := &fs[i].Where
		w.File = d.s.t.Name
		switch {
		case line < 0:
			*w = d.where(n)
		case w.Line > 0:
			at := min(w.Line-1+line, len(d.s.t.Lines)-1)
			w.Line = d.s.t.Number(at)
			if w.Column > 0 && (!d.json || w.Line == 1) {
				w.Column += column
			}
		}
	}
	return fs
}

// cutOff are findings that say no more than that a part is not whole.
var cutOff = map[string]bool{"KC120": true, "KC121": true, "KC122": true, "KC127": true, "KC203": true}

// onFragment drops from the findings on a part of a file those that the whole
// file might refute.
func onFragment(d *document, fs []finding.Finding) []finding.Finding {
	if d.whole {
		return fs
	}
	var out []finding.Finding
	for _, f := range fs {
		if !cutOff[f.Code] {
			out = append(out, f)
		}
	}
	return out
}

func (e *evidence) checkKubeconfig(d *document, n *yaml.Node) {
	data, line, column, ok := d.text(n)
	if !ok {
		return
	}
	f, err := kubeconfig.Parse(d.s.t.Name, data)
	if err != nil {
		return
	}
	whole := d.whole && n == d.root
	e.later = append(e.later, func() {
		fs := kubeconfig.Check([]*kubeconfig.File{f}, kubeconfig.Env{
			Now: e.at, Getenv: func(string) string { return "" }, GOOS: runtime.GOOS,
		})
		fs = d.placed(fs, n, line, column)
		if !whole {
			fs = onFragment(&document{}, fs)
		}
		e.found(fs...)
	})
	for _, u := range f.Users {
		if u.Exec == nil {
			continue
		}
		if p, ok := kubeconfig.PluginOf(u.Exec.Command.Value, u.Exec.ArgValues()); ok {
			e.add("plugin", p.Name, finding.Where{})
		}
	}
}

// kubernetesVersion is the version to judge a kubelet's configuration for.
func (e *evidence) kubernetesVersion() imagecred.Version {
	for _, key := range []string{"kubelet.version", "kubernetes.version"} {
		if v, err := imagecred.ParseVersion(e.first(key)); err == nil {
			return v
		}
	}
	return 0
}

func (e *evidence) checkProviderConfig(d *document, n *yaml.Node) {
	data, line, column, ok := d.text(n)
	if !ok {
		return
	}
	whole := d.whole && n == d.root
	e.later = append(e.later, func() {
		v := e.kubernetesVersion()
		c := imagecred.Parse(d.s.t.Name, data, v)
		fs := d.placed(imagecred.Lint(c, imagecred.LintOptions{Version: v}), n, line, column)
		if !whole {
			fs = onFragment(&document{}, fs)
		}
		e.found(fs...)
		var providers []*imagecred.Provider
		for i := range c.Providers {
			providers = append(providers, &c.Providers[i])
		}
		e.matchImages(providers, d.where(n))
	})
}

// checkProvider judges the patterns of a provider that stands alone.
func (e *evidence) checkProvider(d *document, n *yaml.Node) {
	p := &imagecred.Provider{Name: cmpOr(str(n, "name"), "(no name)")}
	for _, m := range items(get(n, "matchImages")) {
		compiled, err := imagecred.Compile(m.Value)
		p.MatchImages, p.Patterns = append(p.MatchImages, m.Value), append(p.Patterns, compiled)
		if err != nil {
			f := finding.New("KC206", "pattern "+m.Value, err.Error())
			f.Where = d.where(m)
			e.found(f)
			continue
		}
		for _, fault := range imagecred.Faults(m.Value) {
			f := finding.New(fault.Code, "pattern "+m.Value, fault.Message)
			f.Where = d.where(m)
			if fault.Instead != "" {
				f.Fix.Summary = "write " + fault.Instead
			}
			e.found(f)
		}
	}
	e.later = append(e.later, func() { e.matchImages([]*imagecred.Provider{p}, d.where(n)) })
}

// matchImages holds the images of the input against the providers.
func (e *evidence) matchImages(providers []*imagecred.Provider, w finding.Where) {
	for _, im := range e.facts["image"] {
		ref, err := imagecred.ParseImage(im.value)
		if err != nil {
			e.add("image.invalid", im.value, im.where)
			continue
		}
		target, err := imagecred.NewTarget(ref.Repository)
		if err != nil {
			continue
		}
		var misses []any
		asked := ""
		for _, p := range providers {
			if p.Matches(&target) {
				asked = p.Name
			}
			for i := range p.Patterns {
				if reason := p.Patterns[i].Reason(&target); reason != "" && len(misses) < 12 {
					misses = append(misses, p.MatchImages[i]+": "+reason)
				}
			}
		}
		if asked != "" {
			e.add("image.asked", asked, im.where)
			continue
		}
		e.add("image.unmatched", ref.Repository, im.where)
		f := finding.New("KC240", "image "+im.value, "no pattern of matchImages matches it, so no provider is asked and the registry answers 401")
		f.Where = im.where
		f.Fix.Summary = "add a pattern to matchImages that matches " + target.Registry() + ", such as the bare host"
		for _, m := range misses {
			f.Details = append(f.Details, m.(string))
		}
		f.Evidence["repository"], f.Evidence["misses"] = ref.Repository, misses
		e.found(f)
	}
}

// checkMappings judges IAM mappings in any format.
func (e *evidence) checkMappings(d *document, n *yaml.Node) {
	data, line, column, ok := d.text(n)
	if !ok {
		return
	}
	e.judgeMappings(d, n, data, line, column)
}

func (e *evidence) judgeMappings(d *document, n *yaml.Node, data []byte, line, column int) {
	sources, err := iammap.Read(d.s.t.Name, data)
	if err != nil || len(sources) == 0 {
		return
	}
	e.mapped = append(e.mapped, sources...)
	e.found(d.placed(iammap.Lint(sources...), n, line, column)...)
	lines := strings.Count(string(data), "\n")
	if line < 0 {
		line, lines = d.line, len(d.s.t.Lines)
	}
	e.mappedAt = append(e.mappedAt, span{d.s.t.Name, d.s.t.Number(min(line, len(d.s.t.Lines)-1)), d.s.t.Number(min(line+lines, len(d.s.t.Lines)-1))})
}

// span is a run of lines of an input.
type span struct {
	file        string
	first, last int
}

func (s span) holds(w finding.Where) bool {
	return s.file == w.File && s.first <= w.Line && w.Line <= s.last
}

// lookUpARNs asks the mappings who the callers of the input would be.
func (e *evidence) lookUpARNs() {
	if len(e.mapped) == 0 {
		return
	}
	table := iammap.NewTable(e.mapped...)
	for _, key := range []string{"arn.assumed-role", "arn.role", "arn.user", "arn.federated-user"} {
	next:
		for _, f := range e.facts[key] {
			for _, s := range e.mappedAt {
				if s.holds(f.where) {
					continue next
				}
			}
			x, err := table.Explain(iammap.Question{ARN: f.value})
			if err != nil {
				continue
			}
			if x.Mapped {
				e.add("arn.mapped", x.User.Username+" in "+strings.Join(x.User.Groups, ", "), f.where)
				continue
			}
			m := finding.New("KC431", f.value, "the identity is in no mapping that was given")
			m.Where = f.where
			if x.Refused != "" {
				m.Message = "the identity matches an entry and is refused: " + x.Refused
			}
			var near []any
			for _, miss := range x.NearMisses {
				m.Details = append(m.Details, "nearly: "+miss.ARN+" ("+miss.Reason+")")
				near = append(near, map[string]any{"arn": miss.ARN, "line": float64(miss.Line), "reason": miss.Reason})
			}
			m.Details = append(m.Details, x.Notes...)
			m.Evidence["canonicalARN"], m.Evidence["nearMisses"] = x.Canonical, near
			e.found(m)
		}
	}
}

// broken gives text that is no valid YAML to the road that it looks like, which
// says where it breaks.
func (e *evidence) broken(s *scan, source string, line int) {
	d := &document{s: s, line: line, source: source, root: &yaml.Node{}, whole: true}
	low := lowerASCII(source)
	switch {
	case strings.Contains(low, "credentialproviderconfig") || strings.Contains(low, "matchimages:"):
		e.piece(Piece{Kind: "CredentialProviderConfig", Road: finding.Node, Where: s.t.where(line, 0), Summary: "not valid YAML"})
		e.add("imageconfig", "(broken)", s.t.where(line, 0))
		e.later = append(e.later, func() {
			v := e.kubernetesVersion()
			c := imagecred.Parse(s.t.Name, []byte(source), v)
			e.found(d.placed(imagecred.Lint(c, imagecred.LintOptions{Version: v}), d.root, line, 0)...)
		})
	case strings.Contains(low, "maproles:") || strings.Contains(low, "mapusers:"):
		e.piece(Piece{Kind: "aws-auth ConfigMap", Road: finding.Server, Where: s.t.where(line, 0), Summary: "not valid YAML"})
		e.add("awsauth", "true", s.t.where(line, 0))
		e.judgeMappings(d, d.root, []byte(source), line, 0)
	case strings.Contains(low, "contexts:") && (strings.Contains(low, "clusters:") || strings.Contains(low, "users:")):
		e.piece(Piece{Kind: "kubeconfig", Road: finding.Client, Where: s.t.where(line, 0), Summary: "not valid YAML"})
		e.add("kubeconfig", "broken", s.t.where(line, 0))
		_, err := kubeconfig.Parse(s.t.Name, []byte(source))
		if err == nil {
			return
		}
		f := finding.New("KC120", "kubeconfig", err.Error())
		f.Where = s.t.where(line, 0)
		e.found(f)
	}
}

// checkAudit keeps the event for the check of audit logs, which judges all
// events together.
func (e *evidence) checkAudit(d *document, n *yaml.Node) {
	if e.o.Audit == nil || len(e.audit) > maxParsed || strings.ContainsAny(d.source, "\n") {
		return
	}
	if n == d.root {
		e.audit = append(append(e.audit, d.source...), '\n')
	}
}

func (e *evidence) judgeAudit() {
	if e.o.Audit == nil || len(e.audit) == 0 {
		return
	}
	profile := e.first("profile")
	if profile == "" {
		profile = e.first("platform")
	}
	fs := e.o.Audit(e.audit, profile, e.at)
	for i := range fs {
		if at := e.facts["audit"]; len(at) > 0 {
			fs[i].Where = at[0].where
		}
		if at := e.facts["stale"]; len(at) > 0 && strings.HasPrefix(fs[i].Code, "KC30") {
			fs[i].Where = at[0].where
		}
	}
	e.found(fs...)
}

// inspectLater gives a credential to the check of credentials, which also says
// whether it is late or early; so it waits until the time is known.
func (e *evidence) inspectLater(text string, w finding.Where) {
	e.later = append(e.later, func() {
		issuer := e.first("expected.issuer")
		if f := e.first("flag.service-account-issuer"); f != "" {
			issuer = f
		}
		c, err := inspect.Inspect(text, inspect.Options{Now: e.at, Issuer: issuer, Audience: e.first("expected.audience")})
		if err != nil {
			return
		}
		for _, f := range c.Findings {
			// People cut tokens before they paste them: a missing signature, or
			// a part that is cut, says nothing.
			if f.Code == "KC132" || f.Code == "KC139" || strings.Contains(text, "REDACTED") && (f.Code == "KC441" || f.Code == "KC111") {
				continue
			}
			f.Where = w
			e.found(f)
		}
	})
}
