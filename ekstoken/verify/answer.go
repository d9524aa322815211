package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
)

// answer is STS's GetCallerIdentityResult.
type answer struct {
	Account string `json:"Account"`
	ARN     string `json:"Arn"`
	UserID  string `json:"UserId"`
}

type envelope struct {
	GetCallerIdentityResponse struct {
		GetCallerIdentityResult answer
	}
	Error struct {
		Code, Message string
	}
}

var errTooLong = fmt.Errorf("the answer is longer than %d KiB", maxAnswer>>10)

func readAll(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errTooLong
	}
	return body, err
}

// usualAnswer reads an identity as STS writes it, in a fraction of the time that
// encoding/json takes. ok is false for all else, right or wrong: other names,
// names in another order, white space, escapes.
func usualAnswer(body []byte) (a answer, ok bool) {
	rest, ok := bytes.CutPrefix(body, []byte(`{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"`))
	if !ok || !printable(rest) {
		return a, false
	}
	result, rest, _ := bytes.Cut(rest, []byte(`"},"ResponseMetadata":{"RequestId":"`))
	_, rest, ok = bytes.Cut(rest, []byte{'"'})
	if !ok || string(rest) != "}}}" || bytes.IndexByte(body, '\\') >= 0 {
		return a, false
	}
	// One copy for the three, because it is kept for each token.
	a.Account, a.ARN, _ = strings.Cut(string(result), `","Arn":"`)
	a.ARN, a.UserID, _ = strings.Cut(a.ARN, `","UserId":"`)
	if a.ARN == "" || strings.Contains(a.Account, `"`) || strings.Contains(a.ARN, `"`) || strings.Contains(a.UserID, `"`) {
		return answer{}, false
	}
	return a, true
}

// judge reads an answer: who it is, or what kind of no.
func judge(r reply) (answer, *Error) {
	status := r.status
	if status == http.StatusOK {
		if a, ok := usualAnswer(r.body); ok {
			return a, nil
		}
	}
	var e envelope
	parsed := json.Unmarshal(r.body, &e) == nil
	failed := func(kind Kind, format string, args ...any) (answer, *Error) {
		return answer{}, &Error{Kind: kind, Status: status, Code: e.Error.Code, Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case status == http.StatusOK && parsed && e.GetCallerIdentityResponse.GetCallerIdentityResult.ARN != "":
		return e.GetCallerIdentityResponse.GetCallerIdentityResult, nil
	case status == http.StatusOK:
		return failed(Unavailable, "the answer is no GetCallerIdentity response (%s)", clean(r.contentType, "no content type"))
	case status >= 300 && status < 400:
		return failed(Unavailable, "the answer is a redirect (%d), which STS never sends and which is not followed", status)
	case status == http.StatusTooManyRequests || throttling(e.Error.Code):
		a, err := failed(Throttled, "%s", clean(e.Error.Message, "it asks to wait"))
		err.RetryAfter = seconds(r.retryAfter)
		return a, err
	case status >= 500:
		a, err := failed(Unavailable, "it answers with status %d", status)
		err.RetryAfter = seconds(r.retryAfter)
		return a, err
	case !parsed || e.Error.Code == "":
		return failed(Unavailable, "status %d with an answer that is not STS's (%s); a proxy's?", status, clean(r.contentType, "no content type"))
	case strings.HasPrefix(e.Error.Code, "ExpiredToken"), strings.Contains(e.Error.Message, "Signature expired"), strings.Contains(e.Error.Message, "Signature not yet current"):
		return failed(Expired, "%s", clean(e.Error.Message, "expired"))
	}
	return failed(Refused, "%s", clean(e.Error.Message, "refused"))
}

// throttling tells the codes by which AWS services ask to wait.
func throttling(code string) bool {
	switch code {
	case "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
		"TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "PriorRequestNotComplete", "BandwidthLimitExceeded":
		return true
	}
	return false
}

// clean bounds a text from outside and keeps it on one line. STS repeats parts
// of what was signed in some messages ("The Canonical String for this request
// should have been"), so only the first sentence is kept.
func clean(s, otherwise string) string {
	s, _, _ = strings.Cut(s, "\n")
	s, _, _ = strings.Cut(s, ". ")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "..."
	}
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}

func seconds(retryAfter string) time.Duration {
	n, err := strconv.Atoi(retryAfter)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 300)) * time.Second
}

// check believes an answer only where its parts agree: the ARN's partition
// with the host's, its account with the account, its session with the id's.
func (a answer) check(e ekstoken.Endpoint) error {
	parts := strings.SplitN(a.ARN, ":", 6)
	switch {
	case len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" && parts[2] != "sts":
		return errors.New("the answer's ARN is none of a caller")
	case parts[1] != e.Partition:
		return fmt.Errorf("the answer's ARN is of partition %.20q and the host of %s", parts[1], e.Partition)
	case parts[4] != a.Account || len(a.Account) != 12 || strings.Trim(a.Account, "0123456789") != "":
		return errors.New("the answer's ARN and its account do not agree")
	case a.UserID == "":
		return errors.New("the answer names no user id")
	}
	id, session, hasSession := strings.Cut(a.UserID, ":")
	resource := strings.Split(parts[5], "/")
	switch resource[0] {
	case "assumed-role":
		if !hasSession || id == "" || session == "" || session != resource[len(resource)-1] {
			return errors.New("the answer's user id and the session in its ARN do not agree")
		}
	case "federated-user":
		if !hasSession || id != a.Account {
			return errors.New("the answer's user id and the federated user in its ARN do not agree")
		}
	case "user", "root":
		if hasSession {
			return errors.New("the answer's user id has a session, and its ARN has none")
		}
	default:
		return errors.New("the answer's ARN is none of a caller")
	}
	return nil
}
