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
	header := []string{"serviceAccount", "workload", "pod", "node", "credentialID", "verdict", "partial", "issuedAt", "diesAt",
		"requests", "clients", "firstSeen", "lastSeen", "offender", "fixedIn"}
	// A column for the cluster, where there are several.
	clusters := slices.ContainsFunc(s.judged.Tokens, func(t satoken.Token) bool { return t.Cluster != "" })
	if clusters {
		header = append(header, "cluster")
	}
	return report.WriteTable(w, func(yield func([]string) bool) {
		if !yield(header) {
			return
		}
		for _, t := range s.judged.Tokens {
			row := tokenRow(t)
			if clusters {
				row = append(row, t.Cluster)
			}
			if !yield(row) {
				return
			}
		}
	})
}

func tokenRow(t satoken.Token) []string {
	date := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	var clients []string
	for _, c := range t.Clients {
		clients = append(clients, clientText(c))
	}
	offender, fixedIn := "", ""
	if t.Offender != nil {
		offender, fixedIn = t.Offender.Name, t.Offender.FixedIn
	}
	return []string{
		t.ServiceAccount, workloadRef(t.Workload), t.Pod, t.Node, t.CredentialID, string(t.Verdict), strconv.FormatBool(t.Partial),
		date(t.IssuedAt), date(t.DiesAt), strconv.FormatInt(t.Requests, 10), strings.Join(clients, "; "),
		date(t.FirstSeen), date(t.LastSeen), offender, fixedIn,
	}
}
