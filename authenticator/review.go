package authenticator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/kubecred/kubecred/iammap"
)

// maxBody bounds a review, in bytes: a token has at most 16 KiB.
const maxBody = 64 << 10

// The versions of the API that are spoken.
const (
	groupV1      = "authentication.k8s.io/v1"
	groupV1beta1 = "authentication.k8s.io/v1beta1"
	kindReview   = "TokenReview"
)

// request is a TokenReview as the API server sends it (k8s.io/api
// authentication/v1 types.go).
type request struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Token string `json:"token"`
	} `json:"spec"`
}

// review is a TokenReview as it is answered. status.audiences is left out: the
// answer holds for the API server's own audience, which is what a missing list
// means.
type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		CreationTimestamp *string `json:"creationTimestamp"`
	} `json:"metadata"`
	Spec   struct{} `json:"spec"`
	Status status   `json:"status"`
}

type status struct {
	Authenticated bool  `json:"authenticated"`
	User          *user `json:"user,omitempty"`
	// Error says no more than where to look: it must not help who guesses.
	Error string `json:"error,omitempty"`
}

type user struct {
	Username string              `json:"username"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

// badRequest is a request that is no review.
type badRequest struct {
	status  int
	message string
}

func (e *badRequest) Error() string { return e.message }

// readReview reads a request's body, within bounds.
func readReview(w http.ResponseWriter, r *http.Request) (request, error) {
	var req request
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return req, &badRequest{http.StatusMethodNotAllowed, "expected POST"}
	}
	if t := r.Header.Get("Content-Type"); t != "" {
		media, _, err := mime.ParseMediaType(t)
		if err != nil || media != "application/json" {
			return req, &badRequest{http.StatusUnsupportedMediaType, "expected application/json"}
		}
	}
	if r.ContentLength > maxBody {
		return req, &badRequest{http.StatusRequestEntityTooLarge, fmt.Sprintf("expected at most %d bytes", maxBody)}
	}
	var body []byte
	var err error
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	}
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return req, &badRequest{http.StatusRequestEntityTooLarge, fmt.Sprintf("expected at most %d bytes", maxBody)}
		}
		return req, &badRequest{http.StatusBadRequest, "the body could not be read"}
	}
	return parseReview(body)
}

// parseReview decodes a review and refuses what is none.
func parseReview(body []byte) (request, error) {
	req, ok := quick(body)
	if !ok && json.Unmarshal(body, &req) != nil {
		return request{}, &badRequest{http.StatusBadRequest, "expected a TokenReview in JSON"}
	}
	switch {
	case req.Kind != kindReview:
		return request{}, &badRequest{http.StatusBadRequest, "expected kind TokenReview"}
	case req.APIVersion != groupV1 && req.APIVersion != groupV1beta1:
		return request{}, &badRequest{http.StatusBadRequest, "expected apiVersion " + groupV1 + " or " + groupV1beta1}
	}
	return req, nil
}

// encode writes a review in the version that was asked for.
func encode(apiVersion string, s status) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// The types hold nothing that can not be encoded.
	_ = enc.Encode(review{APIVersion: apiVersion, Kind: kindReview, Status: s})
	return b.Bytes()
}

// userOf is the user of a review, with the extra fields that
// aws-iam-authenticator gives (pkg/server/server.go). Accounts that are to be
// left out of logs are left out of them too.
func userOf(u iammap.ClusterUser, id iammap.Identity, scrubbed bool) *user {
	out := &user{Username: u.Username, Groups: u.Groups}
	if scrubbed {
		out.UID = "aws-iam-authenticator:administrative:" + u.Username
		return out
	}
	out.UID = "aws-iam-authenticator:" + id.Account + ":" + id.UserID
	out.Extra = map[string][]string{
		"arn": {id.ARN}, "canonicalArn": {id.Canonical}, "sessionName": {id.Session},
		"accessKeyId": {id.AccessKeyID}, "principalId": {id.UserID},
		"sigs.k8s.io/aws-iam-authenticator/principalId": {id.UserID},
	}
	return out
}
