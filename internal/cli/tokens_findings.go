package cli

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
	"github.com/kubecred/kubecred/satoken"
)

// workloadTokens are the tokens of one workload and account.
type workloadTokens struct {
	cluster            string // "" where there is only one
	namespace, account string
	workload           satoken.Workload
	tokens             []satoken.Token
}

func (g workloadTokens) of(v ...satoken.Verdict) []satoken.Token {
	var out []satoken.Token
	for _, t := range g.tokens {
		if slices.Contains(v, t.Verdict) {
			out = append(out, t)
		}
	}
	return out
}

// title names the workload, and the account where it has another name.
func (g workloadTokens) title() string {
	where := g.namespace
	if g.cluster != "" {
		where = g.cluster + ": " + where
	}
	if g.workload.Name == g.account {
		return where + "/" + g.account
	}
	return fmt.Sprintf("%s/%s (account %s)", where, g.workload.Name, g.account)
}

// groups gathers the tokens by workload.
func (s tokenScan) groups() []workloadTokens {
	type key struct {
		cluster, account string
		workload         satoken.Workload
	}
	at := map[key]int{}
	var out []workloadTokens
	for _, t := range s.judged.Tokens {
		k := key{t.Cluster, t.ServiceAccount, t.Workload}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			ns, name, _ := strings.Cut(t.ServiceAccount, "/")
			out = append(out, workloadTokens{cluster: t.Cluster, namespace: ns, account: name, workload: t.Workload})
		}
		out[i].tokens = append(out[i].tokens, t)
	}
	return out
}

// findings says what the scan found, one finding a workload and verdict.
func (s tokenScan) findings() []finding.Finding {
	var out []finding.Finding
	for _, g := range s.groups() {
		for _, v := range []satoken.Verdict{satoken.Stale, satoken.Dead, satoken.ReloadsWhenRefused, satoken.Snoozed, satoken.Healed} {
			if toks := g.of(v); len(toks) > 0 {
				out = append(out, s.finding(g, v, toks))
			}
		}
	}
	out = append(out, s.refuted()...)
	out = append(out, s.unexplained()...)
	out = append(out, s.caveats()...)
	return append(out, s.sourceFindings()...)
}

func (s tokenScan) finding(g workloadTokens, v satoken.Verdict, toks []satoken.Token) finding.Finding {
	slices.SortStableFunc(toks, func(a, b satoken.Token) int { return a.DiesAt.Compare(b.DiesAt) })
	pods := map[string]bool{}
	for _, t := range toks {
		pods[t.Pod+t.PodUID] = true
	}
	subject := g.title()
	if len(pods) > 1 {
		subject += ", " + plural(len(pods), "pod", "pods")
	}
	first := toks[0]
	now := s.judged.At
	var f finding.Finding
	switch v {
	case satoken.Stale:
		code := "KC301"
		switch {
		case first.DiesBy == satoken.ByForecast:
			f = finding.New("KC318", subject, "its stale token would be refused an hour after each start")
			f.Details = append(f.Details, "the profile "+s.judged.Profile.Name+" does not extend tokens, so this is a forecast: the log is of a cluster that does")
		case first.DiesAt.IsZero():
			f = finding.New(code, subject, "a stale token, older than any extension that is known")
		default:
			f = finding.New(code, subject, fmt.Sprintf("stale token, refused from %s on, in %s", finding.Moment(first.DiesAt), finding.Span(first.DiesAt.Sub(now))))
			f.Due = first.DiesAt
		}
	case satoken.Dead:
		f = finding.New("KC302", subject, fmt.Sprintf("dead: its stale token is refused since %s", finding.Moment(first.DiesAt)))
		f.Due = first.DiesAt
		f.Details = append(f.Details, "the stale token was last used at "+finding.Moment(first.LastSeen)+", and no fresher one since")
		if first.DiesBy == satoken.ByRefusal {
			f.Details = append(f.Details, "the profile would have let it live longer, but its client was answered 401 and not seen since")
		}
	case satoken.ReloadsWhenRefused:
		f = finding.New("KC303", subject, "looks worse than it is: it reads its token again, but only once it is refused")
		f.Details = append(f.Details, fmt.Sprintf("refused at %s, then a fresh token of the same pod", first.RefusedAt.Format("2006-01-02 15:04:05 UTC")))
	case satoken.Healed:
		f = finding.New("KC304", subject, "healed: a fresh token took the place of a stale one")
		if !first.DiesAt.IsZero() {
			f.Details = append(f.Details, "it would have died at "+finding.Moment(first.DiesAt))
		}
	case satoken.Snoozed:
		f = finding.New("KC305", subject, fmt.Sprintf("snoozed until %s: the pod after the restart does not read its token again either", finding.Moment(first.SuccessorDiesAt)))
		f.Due = first.SuccessorDiesAt
	}
	if f.Severity != finding.Info {
		s.advise(&f, g, first)
	}
	f.Details = append(f.Details, tokenLines(toks, s.judged.At)...)
	if !s.brief {
		f.Evidence = evidence(g, toks)
	}
	return f
}

// advise says why, what buys time and what mends.
func (s tokenScan) advise(f *finding.Finding, g workloadTokens, t satoken.Token) {
	if o := t.Offender; o != nil {
		f.Details = append(f.Details, o.Name+": "+o.Why)
	} else if f.Code == "KC301" || f.Code == "KC302" {
		f.Details = append(f.Details, "it read its token once and never again")
	}
	if t.IssuedTo != "" && !strings.HasPrefix(t.IssuedTo, "system:node:") {
		f.Details = append(f.Details, "its token was issued to "+t.IssuedTo+" and not to a kubelet: a restart of the pod may not give it another one")
	}
	if t.Partial {
		f.Details = append(f.Details, "partial: another client of the same pod has a fresh token, so only one of them has to be mended")
	}
	f.Fix = finding.Fix{Summary: mending(t.Offender)}
	if f.Code == "KC301" || f.Code == "KC302" {
		f.Stopgap = &finding.Fix{Summary: "buys " + life(s.judged.Profile), Command: restartCommand(g, t)}
		if g.workload.Kind == "CronJob" {
			f.Stopgap.Summary = "the next run begins with a fresh token; there is nothing to restart"
		} else if f.Stopgap.Command == "" {
			f.Stopgap.Summary = "a restart of its pods buys " + life(s.judged.Profile)
		} else if g.workload.Kind == "Pod" || g.workload.Kind == "" {
			f.Stopgap.Summary = "shows what to restart, which buys " + life(s.judged.Profile)
		}
	}
}

// life writes how long a new token lives.
func life(p satoken.Profile) string {
	if !p.Extended() {
		return "an hour"
	}
	if days := p.Extension.Hours() / 24; days >= 2 && days == math.Trunc(days) {
		return fmt.Sprintf("%.0f days", days)
	}
	return finding.Span(p.Extension)
}

func mending(o *satoken.Offender) string {
	switch {
	case o == nil:
		return "a version of the program, or of its Kubernetes client library, that reads the token file again"
	case o.FixedIn == "":
		return o.Instead
	case o.Instead == "":
		return o.Name + " " + o.FixedIn + " or later"
	}
	return o.Name + " " + o.FixedIn + " or later; or " + o.Instead
}

// safeName is what a name must look like to be put into a command.
var safeName = lazyexp.New(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// restartCommand gives the pods of a workload new tokens, or shows what owns
// them where their names don't tell.
func restartCommand(g workloadTokens, t satoken.Token) string {
	if !safeName().MatchString(g.namespace) || !safeName().MatchString(g.workload.Name) {
		return ""
	}
	switch g.workload.Kind {
	case "CronJob":
		return ""
	case "Pod":
		return fmt.Sprintf("kubectl -n %s get pod %s -o jsonpath='{.metadata.ownerReferences[*].kind}/{.metadata.ownerReferences[*].name}'", g.namespace, g.workload.Name)
	case "":
		return fmt.Sprintf("kubectl -n %s get pods --field-selector spec.serviceAccountName=%s", g.namespace, g.workload.Name)
	}
	return fmt.Sprintf("kubectl -n %s rollout restart %s", g.namespace, workloadRef(g.workload))
}

func kubectlKind(kind string) string { return strings.ToLower(kind) }

// maxTokenLines bounds the lines of one workload's tokens in a finding.
const maxTokenLines = 6

func tokenLines(toks []satoken.Token, now time.Time) []string {
	var out []string
	for i, t := range toks {
		if i == maxTokenLines {
			out = append(out, fmt.Sprintf("and %s more", plural(len(toks)-i, "token", "tokens")))
			break
		}
		line := shortID(t)
		if t.Pod != "" {
			line += " of pod " + t.Pod
		}
		if t.Verdict == satoken.Stale && !t.DiesAt.IsZero() && t.DiesBy != satoken.ByForecast {
			line += ", dies " + finding.Moment(t.DiesAt)
		}
		if len(t.Clients) > 0 {
			line += ", " + clientText(t.Clients[0])
		}
		out = append(out, line)
	}
	return out
}

// shortID is how a token is called in a line.
func shortID(t satoken.Token) string {
	if t.CredentialID == "" {
		return "a token"
	}
	return "token " + t.CredentialID[:min(8, len(t.CredentialID))]
}

func clientText(c satoken.Client) string {
	agent, _, _ := strings.Cut(c.UserAgent, " ")
	switch {
	case agent == "" && c.SourceIP == "":
		return "client unknown"
	case agent == "":
		return "from " + c.SourceIP
	case c.SourceIP == "":
		return agent
	}
	return agent + " from " + c.SourceIP
}

func evidence(g workloadTokens, toks []satoken.Token) map[string]any {
	list := []any{}
	for _, t := range toks {
		m := map[string]any{
			"serviceAccount": t.ServiceAccount, "pod": t.Pod, "credentialID": t.CredentialID,
			"verdict": string(t.Verdict), "requests": float64(t.Requests), "partial": t.Partial,
		}
		for k, at := range map[string]time.Time{"issuedAt": t.IssuedAt, "diesAt": t.DiesAt, "lastSeen": t.LastSeen, "refusedAt": t.RefusedAt} {
			if !at.IsZero() {
				m[k] = at.Format(time.RFC3339)
			}
		}
		clients := []any{}
		for _, c := range t.Clients {
			clients = append(clients, map[string]any{"userAgent": c.UserAgent, "sourceIP": c.SourceIP})
		}
		m["clients"] = clients
		if t.Offender != nil {
			m["offender"] = map[string]any{"name": t.Offender.Name, "fixedIn": t.Offender.FixedIn}
		}
		list = append(list, m)
	}
	return map[string]any{"serviceAccount": g.namespace + "/" + g.account, "workload": workloadRef(g.workload), "tokens": list}
}

// refuted says that the log shows a longer extension than the profile has.
func (s tokenScan) refuted() []finding.Finding {
	var by []satoken.Token
	for _, t := range s.judged.Tokens {
		if t.DiesBy == satoken.ByUse {
			by = append(by, t)
		}
	}
	if len(by) == 0 {
		return nil
	}
	t := by[0]
	f := finding.New("KC308", "profile "+s.judged.Profile.Name, fmt.Sprintf("%s of %s was accepted %s after its issue; the profile grants %s",
		shortID(t), t.ServiceAccount, finding.Span(t.LastSeen.Sub(t.IssuedAt)), finding.Span(s.judged.Profile.Extension)))
	f.Fix = finding.Fix{Summary: "name the profile or life that the cluster has: --profile upstream is one year"}
	return []finding.Finding{f}
}

// unexplained says which refusals no marked token explains.
func (s tokenScan) unexplained() []finding.Finding {
	var clients []satoken.Rejected
	requests := int64(0)
	for _, r := range s.judged.Rejected {
		if r.Likely == "" {
			clients = append(clients, r)
			requests += r.Requests
		}
	}
	if len(clients) == 0 {
		return nil
	}
	f := finding.New("KC309", plural(len(clients), "refused client", "refused clients"),
		fmt.Sprintf("%s answered 401, and no marked token of the log explains them", plural(requests, "request", "requests")))
	slices.SortStableFunc(clients, func(a, b satoken.Rejected) int { return int(b.Requests - a.Requests) })
	for i, c := range clients {
		if i == maxTokenLines {
			f.Details = append(f.Details, fmt.Sprintf("and %d more", len(clients)-i))
			break
		}
		f.Details = append(f.Details, fmt.Sprintf("%s, %s, last at %s", clientText(c.Client), plural(c.Requests, "request", "requests"), finding.Moment(c.LastSeen)))
	}
	f.Fix = finding.Fix{Summary: "find the client by its user agent and address; a log that reaches further back may show its token"}
	return []finding.Finding{f}
}
