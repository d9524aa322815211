package satoken

import "time"

// Verdict says what became, or will become, of a token.
type Verdict string

// The verdicts.
const (
	// Stale: marked and in use, so it will be refused at DiesAt.
	Stale Verdict = "stale"
	// Dead: past its death, and nothing fresher was seen.
	Dead Verdict = "dead"
	// ReloadsWhenRefused: its client was answered 401 and came back at once with
	// a fresh token of the same pod.
	ReloadsWhenRefused Verdict = "reloads-when-refused"
	// Healed: a fresh token of the same pod, or of a later pod of the account,
	// took its place.
	Healed Verdict = "healed"
	// Snoozed: a later pod took its place with a token that is not read again
	// either.
	Snoozed Verdict = "snoozed"
	// Fresh: never marked.
	Fresh Verdict = "fresh"
)

// Token is what a log says of one token.
type Token struct {
	// Cluster is for those who judge the logs of several clusters; Judge leaves
	// it "".
	Cluster        string
	ServiceAccount string
	Workload       Workload
	Pod, PodUID    string
	Node           string
	// CredentialID is the token's jti, "" where the log does not carry it.
	CredentialID string
	// IssuedAt and DiesAt are known of marked tokens only.
	IssuedAt, DiesAt time.Time
	// IssuedTo is the user that asked for the token, where the log has the
	// request: a kubelet, or something that takes its place.
	IssuedTo string
	// DiesBy says what DiesAt rests on.
	DiesBy  DiesBy
	Verdict Verdict
	// Partial: the pod uses this stale token and a fresh one side by side.
	Partial bool
	// Requests counts distinct audit ids with the mark, or all of a token that
	// was never marked. Estimated: there were too many to keep.
	Requests            int64
	Estimated           bool
	Clients             []Client
	FirstSeen, LastSeen time.Time
	// RefusedAt is the first 401 of one of its clients after its last use.
	RefusedAt time.Time
	// Successor is the credential id, or else the pod, of what took its place,
	// and SuccessorDiesAt the death of a successor that is marked too.
	Successor       string
	SuccessorDiesAt time.Time
	Offender        *Offender
}

// DiesBy says what a death date rests on.
type DiesBy string

// The grounds of a death date.
const (
	ByProfile  DiesBy = "profile"  // the profile's extension
	ByRefusal  DiesBy = "refusal"  // the log shows its client refused earlier
	ByUse      DiesBy = "use"      // the log shows it accepted later than the profile allows
	ByForecast DiesBy = "forecast" // the profile grants no extension, so no log of it has marks
)

// Rejected is a client that was answered 401 without a user.
type Rejected struct {
	Cluster string // as in Token
	Client
	Requests            int64
	FirstSeen, LastSeen time.Time
	// Likely is the account, "NS/NAME", whose marked token the client used before.
	Likely string
}

// Judgement is what a Tally comes to.
type Judgement struct {
	At       time.Time
	Profile  Profile
	Tokens   []Token
	Rejected []Rejected
	// Seen counts all tokens, also those that Tokens leaves out. Forgotten are
	// those of them that were never marked, were out of use for longer than they
	// live, and of which there were too many to keep.
	Seen      int
	Forgotten int64
	// Outside counts events that were left out because of their time.
	Before, After int64
	// DroppedClients counts 401s of clients beyond those that are kept.
	DroppedClients int64
}

// JudgeOptions say how to judge.
type JudgeOptions struct {
	Now     time.Time
	Profile Profile
	// All asks for every token, not only marked ones and the fresh tokens of
	// their pods and accounts.
	All bool
	// MarksOnly: the events were marks and 401s only, so nothing is known of
	// fresh tokens.
	MarksOnly bool
}
