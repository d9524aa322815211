package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/satoken"
)

// tokenReport is the JSON of tokens scan. Its keys are a promise.
type tokenReport struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	At         time.Time      `json:"at"`
	Profile    string         `json:"profile"`
	Tokens     []tokenJSON    `json:"tokens"`
	Rejected   []rejectedJSON `json:"rejected"`
	Sources    []tokenSource  `json:"sources"`
	Problems   []tokenProblem `json:"problems"`
}

type tokenJSON struct {
	Cluster        string           `json:"cluster,omitempty"`
	ServiceAccount string           `json:"serviceAccount"`
	Workload       string           `json:"workload"`
	Pod            string           `json:"pod"`
	PodUID         string           `json:"podUID"`
	Node           string           `json:"node"`
	CredentialID   string           `json:"credentialID"`
	IssuedAt       *time.Time       `json:"issuedAt"`
	IssuedTo       string           `json:"issuedTo,omitempty"`
	DiesAt         *time.Time       `json:"diesAt"`
	DiesBy         string           `json:"diesBy,omitempty"`
	Verdict        string           `json:"verdict"`
	Partial        bool             `json:"partial"`
	Requests       int64            `json:"requests"`
	Estimated      bool             `json:"requestsEstimated,omitempty"`
	Clients        []satoken.Client `json:"clients"`
	FirstSeen      time.Time        `json:"firstSeen"`
	LastSeen       time.Time        `json:"lastSeen"`
	RefusedAt      *time.Time       `json:"refusedAt,omitempty"`
	Successor      string           `json:"successor,omitempty"`
	SuccessorDies  *time.Time       `json:"successorDiesAt,omitempty"`
	Offender       *offenderJSON    `json:"offender"`
}

type offenderJSON struct {
	Name    string   `json:"name"`
	FixedIn string   `json:"fixedIn"`
	Why     string   `json:"why"`
	Instead string   `json:"instead,omitempty"`
	Sources []string `json:"sources"`
}

type rejectedJSON struct {
	Cluster   string    `json:"cluster,omitempty"`
	UserAgent string    `json:"userAgent"`
	SourceIP  string    `json:"sourceIP"`
	Requests  int64     `json:"requests"`
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
	Likely    string    `json:"likely"`
}

type tokenSource struct {
	Name      string     `json:"name"`
	Bytes     int64      `json:"bytes"`
	Events    int64      `json:"events"`
	Other     int64      `json:"other"`
	Truncated int64      `json:"truncated"`
	Corrupt   int64      `json:"corrupt"`
	Long      int64      `json:"tooLong"`
	First     *time.Time `json:"first"`
	Last      *time.Time `json:"last"`
}

type tokenProblem struct {
	Source   string `json:"source"`
	Line     int64  `json:"line,omitempty"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
}

// writeTokenReport writes the report. The tokens, of which there may be very
// many, are made and written one by one.
func writeTokenReport(w io.Writer, s tokenScan) error {
	r := tokenReport{
		APIVersion: finding.APIVersion, Kind: "TokenReport", At: s.judged.At, Profile: s.judged.Profile.Name,
		Tokens: []tokenJSON{}, Rejected: []rejectedJSON{}, Sources: []tokenSource{}, Problems: []tokenProblem{},
	}
	for _, x := range s.judged.Rejected {
		r.Rejected = append(r.Rejected, rejectedJSON{x.Cluster, x.UserAgent, x.SourceIP, x.Requests, x.FirstSeen, x.LastSeen, x.Likely})
	}
	for _, st := range s.stats {
		r.Sources = append(r.Sources, tokenSource{st.Name, st.Bytes, st.Events, st.Other, st.Truncated, st.Corrupt, st.Long, optional(st.First), optional(st.Last)})
	}
	for _, f := range append(s.sourceFindings(), s.cuts()...) {
		r.Problems = append(r.Problems, tokenProblem{f.Subject, int64(f.Where.Line), string(f.Severity), f.Message})
	}
	var around bytes.Buffer
	enc := json.NewEncoder(&around)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return err
	}
	const key = `"tokens": [`
	i := bytes.Index(around.Bytes(), []byte(key)) + len(key)
	out := bufio.NewWriter(w)
	_, _ = out.Write(around.Bytes()[:i])
	var one bytes.Buffer
	enc = json.NewEncoder(&one)
	enc.SetEscapeHTML(false)
	enc.SetIndent("    ", "  ")
	for k, t := range s.judged.Tokens {
		one.Reset()
		if err := enc.Encode(asJSON(t)); err != nil {
			return err
		}
		if k > 0 {
			_ = out.WriteByte(',')
		}
		_, _ = out.WriteString("\n    ")
		_, _ = out.Write(bytes.TrimRight(one.Bytes(), "\n"))
	}
	if len(s.judged.Tokens) > 0 {
		_, _ = out.WriteString("\n  ")
	}
	_, _ = out.Write(around.Bytes()[i:])
	return out.Flush() // which returns the first error of all these
}

func asJSON(t satoken.Token) tokenJSON {
	j := tokenJSON{
		Cluster: t.Cluster, ServiceAccount: t.ServiceAccount, Workload: workloadRef(t.Workload), Pod: t.Pod, PodUID: t.PodUID, Node: t.Node,
		CredentialID: t.CredentialID, IssuedAt: optional(t.IssuedAt), IssuedTo: t.IssuedTo, DiesAt: optional(t.DiesAt), DiesBy: string(t.DiesBy),
		Verdict: string(t.Verdict), Partial: t.Partial, Requests: t.Requests, Estimated: t.Estimated, Clients: t.Clients,
		FirstSeen: t.FirstSeen, LastSeen: t.LastSeen, RefusedAt: optional(t.RefusedAt),
		Successor: t.Successor, SuccessorDies: optional(t.SuccessorDiesAt),
	}
	if j.Clients == nil {
		j.Clients = []satoken.Client{}
	}
	if o := t.Offender; o != nil {
		j.Offender = &offenderJSON{o.Name, o.FixedIn, o.Why, o.Instead, o.Sources}
	}
	return j
}

// optional makes a time that is not known null.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// workloadRef writes a workload as kubectl takes it: "daemonset/kube2iam".
func workloadRef(w satoken.Workload) string {
	if w.Kind == "" {
		return ""
	}
	return kubectlKind(w.Kind) + "/" + w.Name
}
