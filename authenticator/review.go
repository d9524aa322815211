package authenticator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
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
