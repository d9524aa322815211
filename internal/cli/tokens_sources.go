package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/auditlog"
	"github.com/kubecred/kubecred/finding"
)

// sourceFindings says what could not be read.
func (s tokenScan) sourceFindings() []finding.Finding {
	var out []finding.Finding
	var others []auditlog.Stats // files of a folder that are no audit logs
	failed := map[string]bool{} // an engine is asked twice about the same hour
	for _, st := range s.stats {
		if st.Err != nil && !failed[st.Name+st.Reason()] {
			failed[st.Name+st.Reason()] = true
			message := "could not be read: " + st.Reason()
			if st.Events > 0 {
				message = fmt.Sprintf("could not be read to its end: %s, after %s up to %s", st.Reason(), plural(st.Events, "event", "events"), finding.Moment(st.Last))
			}
			f := finding.New("KC306", st.Name, message)
			f.Where.File = st.Name
			f.Fix = finding.Fix{Summary: "give the missing part again"}
			out = append(out, f)
		}
		if st.Events == 0 && st.Err == nil && !st.Skipped && st.Bytes > 0 && !slices.Contains(s.names, st.Name) {
			others = append(others, st)
			continue
		}
		if bad := badLines(st); bad != "" {
			f := finding.New("KC307", st.Name, bad+" left out of "+plural(st.Events, "event", "events"))
			f.Where = finding.Where{File: st.Name, Line: int(st.BadLine)}
			if st.BadReason != "" {
				f.Details = []string{"first: " + st.BadReason}
			}
			f.Fix = finding.Fix{Summary: "look at the line, and at what writes the log"}
			out = append(out, f)
		}
	}
	if len(others) > 0 {
		out = append(out, otherFiles(others))
	}
	return out
}

// otherFiles says which files of a folder hold no audit event at all.
func otherFiles(files []auditlog.Stats) finding.Finding {
	f := finding.New("KC307", plural(len(files), "other file", "other files"), "no audit event in them: left out")
	f.Severity = finding.Info
	for i, st := range files {
		if i == maxTokenLines {
			f.Details = append(f.Details, fmt.Sprintf("and %d more", len(files)-i))
			break
		}
		f.Details = append(f.Details, st.Name)
	}
	if len(files) == 1 {
		f.Subject, f.Message, f.Details = files[0].Name, "no audit event in it: left out", nil
	}
	f.Where.File = files[0].Name
	f.Fix = finding.Fix{Summary: "nothing, if they are other logs; else look at what writes them"}
	return f
}

func badLines(st auditlog.Stats) string {
	var parts []string
	if st.Truncated > 0 {
		parts = append(parts, plural(st.Truncated, "cut line", "cut lines"))
	}
	if st.Corrupt > 0 {
		parts = append(parts, plural(st.Corrupt, "corrupt line", "corrupt lines"))
	}
	if st.Long > 0 {
		parts = append(parts, plural(st.Long, "event too long to hold", "events too long to hold"))
	}
	return strings.Join(parts, ", ")
}

// maxSources bounds how many files of a directory are named one by one.
const maxSources = 5

func (s tokenScan) sources() []finding.Source {
	var out []finding.Source
	var sum auditlog.Stats
	for _, st := range s.stats {
		out = append(out, finding.Source{Road: finding.Pod, Name: st.Name, Summary: sourceSummary(st)})
		sum.Events += st.Events
		if !st.First.IsZero() && (sum.First.IsZero() || st.First.Before(sum.First)) {
			sum.First = st.First
		}
		if st.Last.After(sum.Last) {
			sum.Last = st.Last
		}
	}
	if len(out) <= maxSources {
		return out
	}
	return []finding.Source{{Road: finding.Pod, Name: plural(len(out), "audit log", "audit logs"), Summary: sourceSummary(sum)}}
}

func sourceSummary(st auditlog.Stats) string {
	s := plural(st.Events, "event", "events")
	if !st.First.IsZero() {
		s += ", " + st.First.Format("2006-01-02 15:04") + " to " + st.Last.Format("2006-01-02 15:04 UTC")
	}
	return s
}

// clockSlack is how far apart clocks may be.
const clockSlack = 10 * time.Minute

// caveats says what can't be known from logs of the shapes that were read.
func (s tokenScan) caveats() []finding.Finding {
	var all auditlog.Shape
	for _, st := range s.stats {
		all |= st.Shapes
	}
	var out []finding.Finding
	for _, c := range []struct {
		shape            auditlog.Shape
		subject, message string
	}{
		{auditlog.GKEEntries, "GKE log entries", "they name neither pods nor credential ids: tokens of one account are told apart by their age alone"},
		{auditlog.AKSAdmin, "kube-audit-admin", "this category leaves out get and list: a client that only reads is not in it; kube-audit has all"},
		{auditlog.CloudWatch, "CloudWatch records", "entries are cut at 256 KB, and what is cut loses its mark at the end"},
		{auditlog.QueryResults, "query results", "a query ends at its limit (logcli at 30 lines and Loki at 100 unless told otherwise, Elasticsearch and Logs Insights at 10,000 at most): what lies beyond is not in them"},
		{auditlog.JournalNulls, "journalctl -o json", "texts of more than 4,096 bytes are null there, and events among them are lost: journalctl --all -o json has them"},
		{auditlog.InsightsColumns, "query results without @message", "they hold marked requests alone, and of those what the query names: tokens of one account are told apart by their age, and whether one was healed is not in them; a query for @message has all"},
	} {
		if all&c.shape != 0 {
			f := finding.New("KC319", c.subject, c.message)
			f.Fix = finding.Fix{Summary: "nothing to mend; for the whole picture give the log in another shape"}
			out = append(out, f)
		}
	}
	if slices.ContainsFunc(s.names, isEngine) {
		f := finding.New("KC319", "log engines", "they are asked for marked requests, refusals and what else the marked accounts did, not for the requests by which tokens were issued: to whom one was, and when an unmarked one, only the whole log tells")
		f.Fix = finding.Fix{Summary: "nothing to mend: no verdict and no date rests on it"}
		out = append(out, f)
	}
	for _, st := range s.stats {
		if st.Last.After(s.judged.At.Add(clockSlack)) && s.judged.After == 0 {
			f := finding.New("KC319", st.Name, "it goes on to "+finding.Moment(st.Last)+", which is later than now: a clock is wrong")
			f.Fix = finding.Fix{Summary: "set this machine's clock or give --now; or look for the events that are too late"}
			out = append(out, f)
		}
	}
	out = append(out, s.cuts()...)
	if s.judged.DroppedClients > 0 {
		f := finding.New("KC319", "refused clients", fmt.Sprintf("%s of further clients were answered 401 and are not kept apart", plural(s.judged.DroppedClients, "request", "requests")))
		out = append(out, f)
	}
	return out
}

// cuts says what of the log is not in the report.
func (s tokenScan) cuts() []finding.Finding {
	var out []finding.Finding
	if bound := s.allOutside(); bound != "" {
		f := finding.New("KC319", "the time that was asked for", "every event of the log is "+bound+", so this report says nothing of the cluster")
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "give another --now or --since, or the log of that time"}
		out = append(out, f)
	}
	if n := s.judged.Forgotten; s.all && n > 0 {
		if n > 10_000 {
			n -= n % 1000 // one that was used again is counted twice
		}
		f := finding.New("KC319", "fresh tokens", "about "+plural(n, "token", "tokens")+" that were never marked, and were out of use for longer than they live, are not listed: there are too many to hold")
		f.Fix = finding.Fix{Summary: "nothing to mend: no verdict rests on them; --since shows the tokens of a shorter time"}
		out = append(out, f)
	}
	return out
}

// allOutside tells that every event that was read lies outside the time that was
// asked for, and on which side; it is "" otherwise.
func (s tokenScan) allOutside() string {
	events := int64(0)
	for _, st := range s.stats {
		events += st.Events
	}
	switch before, after := s.judged.Before, s.judged.After; {
	case events == 0 || before+after < events:
		return ""
	case before == 0:
		return "later than --now"
	case after == 0:
		return "before --since"
	}
	return "before --since or later than --now"
}
