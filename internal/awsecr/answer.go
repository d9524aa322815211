package awsecr

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/kubecred/kubecred/internal/awskeys"
)

// What the API is asked.
const (
	ContentType = "application/x-amz-json-1.1"
	UserAgent   = "kubecred-aws"
	Body        = "{}"
	// MaxAnswer bounds an answer in bytes. Real ones have some kilobytes.
	MaxAnswer = 1 << 20
)

// Password is what a registry takes.
type Password struct {
	Username, Password string
	Expires            time.Time // by AWS's clock; zero: unknown
}

// ErrNoPassword is met where AWS answers well and gives none.
var ErrNoPassword = &awskeys.Error{Problem: "ECR answered without a password", Transient: true}

// ReadAnswer reads an answer with the status 200. Its error is [ErrNoPassword].
func ReadAnswer(data []byte) (Password, error) {
	type authorization struct {
		AuthorizationToken string  `json:"authorizationToken"` // base64(user:password)
		ExpiresAt          float64 `json:"expiresAt"`          // seconds since 1970
	}
	var answer struct {
		AuthorizationData json.RawMessage `json:"authorizationData"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return Password{}, ErrNoPassword
	}
	// A list for private registries, an object for the public one.
	var list []authorization
	var err error
	if !bytes.HasPrefix(answer.AuthorizationData, []byte("[")) {
		list = make([]authorization, 1)
		err = json.Unmarshal(answer.AuthorizationData, &list[0])
	} else {
		err = json.Unmarshal(answer.AuthorizationData, &list)
	}
	if err != nil || len(list) == 0 {
		return Password{}, ErrNoPassword
	}
	raw, err := base64.StdEncoding.DecodeString(list[0].AuthorizationToken)
	if err != nil {
		return Password{}, ErrNoPassword
	}
	user, password, ok := strings.Cut(string(raw), ":")
	if !ok || user == "" || password == "" {
		return Password{}, ErrNoPassword
	}
	p := Password{Username: user, Password: password}
	if at := list[0].ExpiresAt; at > 0 {
		p.Expires = time.UnixMilli(int64(at * 1000))
	}
	return p, nil
}

// Keep is how long the password is kept, given AWS's time: somewhere between 80
// and 90 percent of its life, by chance, so that a cluster's nodes, started
// together, do not come back together.
func (p Password) Keep(now time.Time) time.Duration {
	if p.Expires.IsZero() {
		return 0
	}
	life := p.Expires.Sub(now)
	if life <= 0 {
		return 0
	}
	return (life*8/10 + time.Duration(rand.Int64N(int64(life)/10+1))).Truncate(time.Second)
}

// Attempt is a call that was made and did not give a password.
type Attempt struct {
	// Keys are those it was signed with.
	Keys awskeys.Keys
	// Status is that of the answer, 0 where none came; then Err says why.
	Status int
	Header map[string][]string
	Body   []byte
	Err    error
}

// Offset is how far the machine's clock is behind AWS's, by the Date of an answer,
// where that is more than a minute; less is the way of the answer.
func Offset(date string, now time.Time) time.Duration {
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} { // RFC 9110, section 5.6.7
		at, err := time.Parse(layout, date)
		if err != nil {
			continue
		}
		if skew := at.Sub(now); skew.Abs() > time.Minute {
			return skew.Round(time.Second)
		}
		break
	}
	return 0
}
