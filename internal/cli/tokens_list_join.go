package cli

import (
	"strings"
	"time"

	"github.com/kubecred/kubecred/internal/calendar"
	"github.com/kubecred/kubecred/satoken"
)

// joinedLog is what a log shows of a cluster's pods, each "namespace/name".
type joinedLog struct {
	tokens  map[string][]satoken.Token
	created map[string]time.Time
}

// join finds the cluster's pods in the log, and gives the log's tokens their
// real owners instead of those that the pods' names suggest.
func (l *tokenList) join(s tokenScan) {
	j := joinedLog{tokens: map[string][]satoken.Token{}, created: map[string]time.Time{}}
	owner := map[string]satoken.Workload{}
	for _, p := range l.snapshot.Pods {
		id := p.Namespace + "/" + p.Name
		j.created[id] = p.Created
		owner[id] = satoken.Workload{Kind: p.Owner.Kind, Name: p.Owner.Name}
	}
	for i := range s.judged.Tokens {
		t := &s.judged.Tokens[i]
		ns, _, _ := strings.Cut(t.ServiceAccount, "/")
		id := ns + "/" + t.Pod
		if w, ok := owner[id]; ok && t.Pod != "" {
			t.Workload = w
			j.tokens[id] = append(j.tokens[id], *t)
		}
	}
	l.scan, l.log = &s, j
}

// shown is what a joined log shows of a workload: a verdict, or "" where the log
// says nothing of it. The worst verdict of its pods counts. A fresh token says
// something only where the pod was too old, when it was used, to hold its first.
// The date is when the first token of that verdict is refused, zero for none.
func (l tokenList) shown(w calendar.Workload) (worst satoken.Verdict, dies time.Time) {
	for _, name := range w.Names {
		id := w.Owner.Namespace + "/" + name
		for _, t := range l.log.tokens[id] {
			if t.Verdict == satoken.Fresh && t.LastSeen.Sub(l.log.created[id]) < 2*satoken.WarnAfter {
				continue
			}
			if worst == "" || verdictRank(t.Verdict) < verdictRank(worst) {
				worst, dies = t.Verdict, t.DiesAt
			} else if t.Verdict == worst && t.DiesAt.Before(dies) {
				dies = t.DiesAt
			}
		}
	}
	return worst, dies
}
