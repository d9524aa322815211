package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/calendar"
	"github.com/kubecred/kubecred/internal/cluster"
	"github.com/kubecred/kubecred/satoken"
)

// guessProfile picks the profile by what the API server calls itself:
// "v1.35.4-eks-3025e55".
func guessProfile(version string) (satoken.Profile, string) {
	name, why := "upstream", "the API server's version names no provider; --profile names one"
	switch {
	case strings.Contains(version, "-eks-"):
		name, why = "eks", "by the API server's version"
	case strings.Contains(version, "-gke."):
		name, why = "gke", "by the API server's version"
	}
	p, err := satoken.ParseProfile(name)
	must(err)
	return p, why
}

// title names a workload as kubectl would: "kube-system/daemonset/kube2iam".
func workloadTitle(r cluster.Ref) string { return r.Namespace + "/" + r.String() }

func (l tokenList) sources() []finding.Source {
	s := l.snapshot
	summary := fmt.Sprintf("%s, %s", plural(len(s.Pods), "pod", "pods"), plural(len(l.calendar.Workloads), "workload", "workloads"))
	if s.Finished > 0 {
		summary += fmt.Sprintf(", %s that finished left out", plural(s.Finished, "pod", "pods"))
	}
	if len(s.Secrets) > 0 {
		summary += ", " + plural(len(s.Secrets), "token secret", "token secrets")
	}
	if s.Version != "" {
		summary = s.Version + ": " + summary
	}
	p := l.calendar.Profile
	summary += fmt.Sprintf("; profile %s", p.Name)
	if l.guessed != "" {
		summary += " (" + l.guessed + ")"
	}
	out := []finding.Source{{Road: finding.Pod, Name: "cluster " + s.Name, Summary: summary}}
	if l.scan != nil {
		out = append(out, l.scan.sources()...)
	}
	return out
}

func (l tokenList) findings() []finding.Finding {
	var out []finding.Finding
	for _, w := range l.calendar.Workloads {
		out = append(out, l.workload(w)...)
	}
	for _, s := range l.calendar.Secrets {
		out = append(out, l.secret(s))
	}
	out = append(out, l.denied()...)
	if m := l.snapshot.Metrics; m != nil && m.StaleTokens > 0 {
		out = append(out, l.metrics(*m))
	}
	if l.scan != nil {
		out = append(out, l.scan.findings()...)
	}
	return out
}

// workload says what the calendar holds of one workload, unless a log that was
// joined knows better.
func (l tokenList) workload(w calendar.Workload) []finding.Finding {
	var out []finding.Finding
	verdict, _ := l.shown(w)
	if f, ok := l.date(w); ok && verdict == "" {
		f.Evidence = l.evidence(w)
		out = append(out, f)
	}
	for _, v := range w.Own {
		f := finding.New("KC339", workloadTitle(w.Owner), fmt.Sprintf("a token for the API server lives %s and is not extended", finding.Span(v.Life)))
		f.Details = []string{"file " + v.Path}
		f.Evidence = map[string]any{"kind": w.Owner.Kind, "namespace": w.Owner.Namespace, "name": w.Owner.Name, "path": v.Path, "lifeSeconds": v.Life.Seconds()}
		out = append(out, f)
	}
	if len(w.Unwired) > 0 {
		f := finding.New("KC338", workloadTitle(w.Owner), fmt.Sprintf("%s without the token of its account's IAM role", plural(len(w.Unwired), "pod", "pods")))
		f.Details = []string{"the account names " + w.RoleARN, names("pods ", w.Unwired)}
		f.Fix = finding.Fix{Summary: "once the pod identity webhook runs", Command: rolloutRestart(w.Owner)}
		f.Evidence = map[string]any{"roleARN": w.RoleARN, "pods": texts(w.Unwired)}
		out = append(out, f)
	}
	return out
}

// date is the finding of a workload's date.
func (l tokenList) date(w calendar.Workload) (finding.Finding, bool) {
	if w.Refused.IsZero() {
		return finding.Finding{}, false
	}
	now, subject := l.calendar.At, workloadTitle(w.Owner)
	started := fmt.Sprintf("%s, the oldest process since %s", plural(w.Pods, "pod", "pods"), finding.Moment(w.OldestStart))
	var f finding.Finding
	switch o := w.Offender; {
	case o != nil && o.Sure:
		f = finding.New("KC331", subject, fmt.Sprintf("%s %s", o.Image, refusedFrom(w.Refused, now)))
		f.Due = w.Refused
		f.Details = []string{o.Name + ": " + o.Why, started}
	case o != nil:
		f = finding.New("KC332", subject, fmt.Sprintf("%s may be a version of %s that never reads its token again", o.Image, o.Name))
		f.Due = w.Refused
		f.Details = []string{"if it is: " + refusedFrom(w.Refused, now), o.Name + ": " + o.Why, started}
	case w.Outlived > 0:
		f = finding.New("KC333", subject, fmt.Sprintf("%s older than a token can be: a client in it reads its token again, or is refused since %s",
			plural(w.Outlived, "pod", "pods"), finding.Moment(w.Refused)))
		f.Details = []string{started}
		return f, true
	default:
		f = finding.New("KC330", subject, "a client that never reads its token again is "+refusedFrom(w.Refused, now))
		f.Due = w.Refused
		f.Details = []string{started}
		return f, true
	}
	f.Fix = finding.Fix{Summary: imageMending(w.Offender)}
	f.Stopgap = &finding.Fix{Summary: "buys " + life(l.calendar.Profile), Command: rolloutRestart(w.Owner)}
	if w.Owner.Kind == "CronJob" || w.Owner.Kind == "Job" {
		f.Stopgap = nil
	}
	return f, true
}

// refusedFrom says when, and how far that is from now.
func refusedFrom(t, now time.Time) string {
	if t.After(now) {
		return fmt.Sprintf("refused from %s on, in %s", finding.Moment(t), finding.Span(t.Sub(now)))
	}
	return fmt.Sprintf("refused since %s, %s ago", finding.Moment(t), finding.Span(now.Sub(t)))
}

func imageMending(o *calendar.Offender) string {
	var ways []string
	if o.FixedIn != "" {
		repository, _, _ := strings.Cut(o.Image, "@")
		if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
			repository = repository[:i]
		}
		ways = append(ways, fmt.Sprintf("%s %s or later", repository, o.FixedIn))
	}
	if o.Instead != "" {
		ways = append(ways, o.Instead)
	}
	return strings.Join(ways, "; or ")
}

// rolloutRestart is the command that gives a workload's pods new tokens, "" for
// what kubectl cannot restart.
func rolloutRestart(r cluster.Ref) string {
	switch r.Kind {
	case "Deployment", "DaemonSet", "StatefulSet":
		if safeName().MatchString(r.Namespace) && safeName().MatchString(r.Name) {
			return fmt.Sprintf("kubectl -n %s rollout restart %s", r.Namespace, r)
		}
	}
	return ""
}

func (l tokenList) evidence(w calendar.Workload) map[string]any {
	e := map[string]any{
		"kind": w.Owner.Kind, "namespace": w.Owner.Namespace, "name": w.Owner.Name,
		"pods": texts(bounded(w.Names)), "podCount": float64(w.Pods), "serviceAccounts": texts(w.Accounts), "images": texts(bounded(w.Images)),
		"oldestPod": w.OldestPod, "oldestStart": w.OldestStart.Format(time.RFC3339),
		"refusedFrom": w.Refused.Format(time.RFC3339), "lastRefusedFrom": w.Last.Format(time.RFC3339),
		"tokenLifeSeconds": w.Token.Life.Seconds(), "tokenPath": w.Token.Path, "profile": l.calendar.Profile.Name,
	}
	if w.Above.Kind != "" {
		e["ownedBy"] = w.Above.String()
	}
	if len(w.Other) > 0 {
		var other []string
		for _, v := range w.Other {
			other = append(other, fmt.Sprintf("%s for %s", v.Audience, finding.Span(v.Life)))
		}
		e["otherTokens"] = texts(other)
	}
	if len(w.Secrets) > 0 {
		e["tokenSecrets"] = texts(w.Secrets)
	}
	if o := w.Offender; o != nil {
		e["offender"] = map[string]any{"name": o.Name, "image": o.Image, "fixedIn": o.FixedIn, "sure": o.Sure}
	}
	return e
}

// maxNames bounds the pods and images that a finding's evidence lists; the
// count beside them is of all.
const maxNames = 50

func bounded(s []string) []string { return s[:min(len(s), maxNames)] }

func texts(s []string) []any {
	out := make([]any, len(s))
	for i, v := range s {
		out[i] = v
	}
	return out
}

// names writes a list for a line, the first few of it.
func names(prefix string, s []string) string {
	const few = 5
	line := prefix + strings.Join(s[:min(len(s), few)], ", ")
	if len(s) > few {
		line += fmt.Sprintf(" and %d more", len(s)-few)
	}
	return line
}

func (l tokenList) metrics(m cluster.Metrics) finding.Finding {
	f := finding.New("KC341", "API server of "+l.snapshot.Name, plural(int64(m.StaleTokens), "request", "requests")+" with a token that should have been renewed")
	if !m.Since.IsZero() {
		f.Details = append(f.Details, "since its start at "+finding.Moment(m.Since))
	}
	f.Details = append(f.Details, "the count is of one API server, and does not say which clients")
	if l.scan == nil {
		f.Fix = finding.Fix{Summary: "name the clients", Command: "kubecred tokens scan AUDIT-LOG"}
	} else {
		f.Severity = finding.Info // the log that was joined names them
	}
	f.Evidence = map[string]any{"staleTokens": m.StaleTokens, "legacyAuto": m.LegacyAuto, "legacyManual": m.LegacyManual, "invalidLegacy": m.InvalidLegacy}
	return f
}

// denied says what could not be read, one finding a resource.
func (l tokenList) denied() []finding.Finding {
	var out []finding.Finding
	done := map[string]bool{}
	for _, d := range l.snapshot.Denied {
		if done[d.Resource] {
			continue
		}
		done[d.Resource] = true
		var namespaces []string
		for _, e := range l.snapshot.Denied {
			if e.Resource == d.Resource && e.Namespace != "" {
				namespaces = append(namespaces, e.Namespace)
			}
		}
		message := "not readable: " + d.Reason
		if len(namespaces) > 0 {
			message = fmt.Sprintf("not readable in %s: %s", plural(len(namespaces), "namespace", "namespaces"), d.Reason)
		}
		f := finding.New("KC340", d.Resource, message)
		switch d.Resource {
		case "pods": // the calendar is not whole
			f.Severity = finding.Error
		case "/metrics":
			f.Severity = finding.Info
		}
		if len(namespaces) > 0 {
			slices.Sort(namespaces)
			f.Details = []string{names("", namespaces)}
		}
		f.Evidence = map[string]any{"resource": d.Resource, "namespaces": texts(bounded(namespaces)), "namespaceCount": float64(len(namespaces)), "reason": d.Reason}
		f.Fix = finding.Fix{Summary: "the rights it takes", Command: "kubecred tokens list --print-rbac"}
		out = append(out, f)
	}
	return out
}
