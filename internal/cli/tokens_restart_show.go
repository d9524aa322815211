package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
	"github.com/kubecred/kubecred/internal/restart"
	"github.com/kubecred/kubecred/kubeconfig"
	"github.com/kubecred/kubecred/satoken"
)

// showRestart writes the plan.
func (a *app) showRestart(r restartRun) error {
	if r.o.format == "json" {
		return a.writeRestartJSON(r)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "plan as of %s for %s\n", finding.Moment(r.at), r.client.Name)
	if len(r.steps) == 0 {
		fmt.Fprintln(&b, "Nothing to restart.")
	}
	work := 0
	for _, s := range r.steps {
		label := string(s.Action)
		switch s.Action {
		case restart.Restart, restart.Wait:
			work++
			label = fmt.Sprintf("%d %s", work, s.Action)
		case restart.Nothing:
			label = "nothing to do"
		case restart.ByHand:
			label = "by hand"
		}
		fmt.Fprintf(&b, "\n%-14s %s\n", label, report.Clean(workloadTitle(s.Ref)))
		line := func(name, text string) {
			if text != "" {
				fmt.Fprintf(&b, "  %-12s %s\n", name, report.Clean(text))
			}
		}
		line("why", s.Why)
		line("but", s.Reason)
		if s.Action == restart.Restart {
			line("pods", fmt.Sprintf("%d, %d available; %s", s.Rollout.Desired, s.Rollout.Available, rolls(s)))
			line("buys", r.buys(s))
			if command := rolloutRestart(s.Ref); command != "" {
				line("same as", command)
			}
		}
		for _, n := range s.Notes {
			line("note", n)
		}
	}
	r.writeProblems(&b)
	if work > 0 && !r.o.apply {
		fmt.Fprintf(&b, "\n%s to restart, in this order. Nothing has been changed: --apply carries the plan out.\n", plural(work, "workload", "workloads"))
	}
	_, err := a.Stdout.Write(b.Bytes())
	return err
}

// writeProblems says what could not be read of the audit log.
func (r restartRun) writeProblems(b *bytes.Buffer) {
	for _, f := range r.problems {
		fmt.Fprintf(b, "\n%s  %s: %s\n", f.Code, report.Clean(f.Subject), report.Clean(f.Message))
	}
}

// rolls says how a rollout replaces pods.
func rolls(s restart.Step) string {
	switch r := s.Rollout; {
	case r.Down == 0:
		return "new ones are ready before old ones go"
	case r.Down >= r.Desired:
		return "all go before new ones come"
	default:
		return fmt.Sprintf("%d at a time", r.Down)
	}
}

// buys says until when a restart helps a client that never reads its token again.
func (r restartRun) buys(s restart.Step) string {
	if !r.profile.Extended() {
		return "an hour for a client that never reads its token again"
	}
	until := r.at.Add(r.profile.Life())
	text := "until " + finding.Moment(until) + " for a client that never reads its token again"
	if !s.Dies.IsZero() && s.Dies.After(r.at) {
		text += ", " + finding.Span(until.Sub(s.Dies)) + " more than now"
	}
	return text
}

// showRestarted writes what became of the plan.
func (a *app) showRestarted(r restartRun) error {
	if r.o.format == "json" {
		return a.writeRestartJSON(r)
	}
	var b bytes.Buffer
	fmt.Fprintln(&b)
	var left []string
	for _, res := range r.results {
		if res.State == restart.Skipped {
			continue
		}
		text := map[restart.State]string{
			restart.Restarted: "restarted", restart.Waited: "its restart is done", restart.Already: "had been restarted already",
			restart.NotBegun: "not begun", restart.Failed: "failed",
		}[res.State]
		if res.State == restart.Restarted && !res.Ready.IsZero() {
			text += ", ready after " + finding.Span(res.Ready.Sub(res.At))
		}
		if res.Err != nil {
			text += ": " + res.Err.Error()
		}
		if res.State == restart.Failed || res.State == restart.NotBegun {
			left = append(left, workloadTitle(res.Ref))
		} else if r.o.verify {
			text += "; " + r.seen[res.Ref].String()
		}
		fmt.Fprintf(&b, "%s: %s\n", report.Clean(workloadTitle(res.Ref)), report.Clean(oneLine(text)))
	}
	if r.o.verify {
		r.writeProblems(&b)
	}
	if len(left) > 0 {
		fmt.Fprintf(&b, "\nTo go on once that is mended: %s %s\n", r.again(), strings.Join(left, " "))
	} else if len(r.results) > 0 && !r.o.verify {
		fmt.Fprintln(&b, "\nDone. A scan of the audit log in an hour shows whether the new tokens are read again.")
	}
	_, err := a.Stdout.Write(b.Bytes())
	return err
}

// again is the command that goes on, up to the workloads: what was restarted
// since this run began is not restarted again.
func (r restartRun) again() string {
	began := r.at.Truncate(time.Second)
	for _, res := range r.results {
		if !res.At.IsZero() && res.At.Before(began) {
			began = res.At
		}
	}
	if !r.resume.IsZero() && r.resume.Before(began) {
		began = r.resume
	}
	words := []string{"kubecred tokens restart --apply --resume", began.UTC().Format(time.RFC3339)}
	flag := func(name string, values ...string) {
		for _, v := range values {
			if v != "" {
				words = append(words, name, kubeconfig.ShellQuote(v))
			}
		}
	}
	flag("--kubeconfig", r.o.kubeconfig)
	flag("--context", r.o.context)
	if r.o.ignoreBudgets {
		words = append(words, "--ignore-budgets")
	}
	if r.o.verify {
		words = append(words, "--verify")
		flag("--audit-log", r.sources...)
	}
	return strings.Join(words, " ")
}

// report is the run as findings, for the exit status.
func (r restartRun) report() finding.Report {
	out := slices.Clone(r.problems)
	for _, res := range r.results {
		title := workloadTitle(res.Ref)
		switch {
		case res.State == restart.Failed:
			out = append(out, finding.New("KC353", title, fmt.Sprint(res.Err)))
		case res.State == restart.Skipped || res.State == restart.NotBegun || r.seen == nil:
		case r.seen[res.Ref].Verdict == satoken.Healed:
			out = append(out, finding.New("KC350", title, r.seen[res.Ref].String()))
		case r.seen[res.Ref].Verdict == satoken.Snoozed:
			f := finding.New("KC351", title, r.seen[res.Ref].String())
			f.Due = r.seen[res.Ref].Until
			out = append(out, f)
		default:
			out = append(out, finding.New("KC352", title, r.seen[res.Ref].String()))
		}
	}
	return finding.NewReport(r.at, out, nil)
}

// The JSON of a plan and of what became of it.
type (
	restartJSON struct {
		APIVersion string     `json:"apiVersion"`
		Kind       string     `json:"kind"`
		At         time.Time  `json:"at"`
		Cluster    string     `json:"cluster"`
		Applied    bool       `json:"applied"`
		Steps      []stepJSON `json:"steps"`
		// Problems are parts of the audit log that could not be read.
		Problems []problemJSON `json:"problems,omitempty"`
	}
	stepJSON struct {
		Namespace string           `json:"namespace"`
		Kind      string           `json:"kind"`
		Name      string           `json:"name"`
		OwnedBy   string           `json:"ownedBy,omitempty"`
		Action    restart.Action   `json:"action"`
		Why       string           `json:"why"`
		Reason    string           `json:"reason,omitempty"`
		DiesAt    *time.Time       `json:"diesAt,omitempty"`
		OldPods   []string         `json:"oldPods,omitempty"`
		Replicas  int              `json:"replicas"`
		Available int              `json:"available"`
		Strategy  string           `json:"strategy,omitempty"`
		Budgets   []budgetJSON     `json:"budgets,omitempty"`
		Notes     []string         `json:"notes,omitempty"`
		Command   string           `json:"command,omitempty"`
		State     restart.State    `json:"state,omitempty"`
		Restarted *time.Time       `json:"restartedAt,omitempty"`
		Ready     *time.Time       `json:"readyAt,omitempty"`
		Error     string           `json:"error,omitempty"`
		Verdict   *satoken.Verdict `json:"verdict,omitempty"`
		Until     *time.Time       `json:"until,omitempty"`
		Proved    *bool            `json:"proved,omitempty"`
		Basis     basis            `json:"basis,omitempty"`
		Trouble   string           `json:"trouble,omitempty"`
	}
	problemJSON struct {
		Code    string `json:"code"`
		Subject string `json:"subject"`
		Message string `json:"message"`
	}
	budgetJSON struct {
		Name    string `json:"name"`
		Allowed int    `json:"disruptionsAllowed"`
	}
)

func (a *app) writeRestartJSON(r restartRun) error {
	out := restartJSON{APIVersion: finding.APIVersion, Kind: "RestartPlan", At: r.at, Cluster: r.client.Name, Applied: r.o.apply, Steps: []stepJSON{}}
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	for i, s := range r.steps {
		j := stepJSON{
			Namespace: s.Ref.Namespace, Kind: s.Ref.Kind, Name: s.Ref.Name, OwnedBy: s.Above.String(),
			Action: s.Action, Why: s.Why, Reason: s.Reason, DiesAt: at(s.Dies), OldPods: s.Pods,
			Replicas: s.Rollout.Desired, Available: s.Rollout.Available, Strategy: s.Rollout.Strategy, Notes: s.Notes,
		}
		if s.Action == restart.Restart {
			j.Command = rolloutRestart(s.Ref)
		}
		for _, b := range s.Budgets {
			j.Budgets = append(j.Budgets, budgetJSON{b.Name, b.Allowed})
		}
		if r.results != nil {
			res := r.results[i]
			j.State, j.Restarted, j.Ready = res.State, at(res.At), at(res.Ready)
			if res.Err != nil {
				j.Error = oneLine(res.Err.Error())
			}
			if v, ok := r.seen[s.Ref]; ok {
				j.Trouble = v.Trouble
				j.Verdict, j.Until, j.Proved, j.Basis = &v.Verdict, at(v.Until), &v.Proved, v.Basis
			}
		}
		out.Steps = append(out.Steps, j)
	}
	for _, f := range r.problems {
		out.Problems = append(out.Problems, problemJSON{f.Code, f.Subject, f.Message})
	}
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
