package satoken

import (
	"time"

	"github.com/kubecred/kubecred/auditlog"
)

// issue is a request for a token, which names the credential id of the token
// that it brought (k8s.io/kubernetes pkg/registry/core/serviceaccount/storage/token.go).
type issue struct {
	at int64
	to string // the user that asked, a kubelet mostly
}

// maxIssues bounds how many are kept of tokens that were not used yet.
const maxIssues = 20_000

// issued notes to whom a token was issued, and when.
func (t *Tally) issued(ev *auditlog.Event, at int64) {
	if i, ok := t.issues[string(ev.Issued)]; ok && i.at <= at {
		return
	}
	if len(t.issues) >= maxIssues {
		t.forgetIssues()
	}
	if len(t.issues) < maxIssues {
		t.issues[string(ev.Issued)] = issue{at, t.intern(ev.Username)}
	}
}

// forgetIssues gives what is known to the tokens that are, and lets go of tokens
// that nobody used in their time.
func (t *Tally) forgetIssues() {
	for id, i := range t.issues {
		if tok := t.tokens[id]; tok != nil {
			tok.issue = &i
		}
		if i.at < t.newest-idle {
			delete(t.issues, id)
		}
	}
}

// issueOf returns what is known of a token's issue, or nil.
func (t *Tally) issueOf(tok *token) *issue {
	if tok.id == "" {
		return nil
	}
	if i, ok := t.issues["JTI="+tok.id]; ok && (tok.issue == nil || i.at < tok.issue.at) {
		return &i
	}
	return tok.issue
}

// issuedTo fills in to whom a token was issued, and returns when, as far as the
// log has the request for it.
func (t *Tally) issuedTo(out *Token, tok *token) (time.Time, bool) {
	i := t.issueOf(tok)
	if i == nil {
		return time.Time{}, false
	}
	out.IssuedTo = i.to
	return time.Unix(0, i.at).UTC().Truncate(time.Second), true
}
