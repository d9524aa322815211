package cli

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubecred/kubecred/internal/report"
	"github.com/kubecred/kubecred/satoken"
)

// writeTokenTable writes the tokens as CSV, a token a row.
func writeTokenTable(w io.Writer, s tokenScan) error {
	rows := [][]string{{"serviceAccount", "workload", "pod", "node", "credentialID", "verdict", "partial", "issuedAt", "diesAt",
		"requests", "clients", "firstSeen", "lastSeen", "offender", "fixedIn"}}
	date := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	for _, t := range s.judged.Tokens {
		var clients []string
		for _, c := range t.Clients {
			clients = append(clients, clientText(c))
		}
		offender, fixedIn := "", ""
		if t.Offender != nil {
			offender, fixedIn = t.Offender.Name, t.Offender.FixedIn
		}
		rows = append(rows, []string{
			t.ServiceAccount, workloadRef(t.Workload), t.Pod, t.Node, t.CredentialID, string(t.Verdict), strconv.FormatBool(t.Partial),
			date(t.IssuedAt), date(t.DiesAt), strconv.FormatInt(t.Requests, 10), strings.Join(clients, "; "),
			date(t.FirstSeen), date(t.LastSeen), offender, fixedIn,
		})
	}
	// A column for the cluster, where there are several.
	if slices.ContainsFunc(s.judged.Tokens, func(t satoken.Token) bool { return t.Cluster != "" }) {
		rows[0] = append(rows[0], "cluster")
		for i, t := range s.judged.Tokens {
			rows[i+1] = append(rows[i+1], t.Cluster)
		}
	}
	return report.WriteTable(w, rows)
}
