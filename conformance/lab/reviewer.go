//go:build unix

package lab

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"

	authv1 "k8s.io/api/authentication/v1"
)

// Reviewer is a token webhook that refuses the tokens it is told to, for
// [Options.TokenWebhook]. All others that reach it are those of [ReviewedUser].
type Reviewer struct {
	// Kubeconfig is the file for the API server.
	Kubeconfig string

	server  *httptest.Server
	mu      sync.Mutex
	refused map[string]bool
}

// ReviewedUser is whose tokens a [Reviewer] takes them for.
const ReviewedUser = "lab-reviewed"

// NewReviewer starts a webhook whose kubeconfig is written to a file. Close it.
func NewReviewer(file string) (*Reviewer, error) {
	r := &Reviewer{Kubeconfig: file, refused: map[string]bool{}}
	r.server = httptest.NewTLSServer(http.HandlerFunc(r.review))
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
contexts: [{name: c, context: {cluster: c, user: ""}}]
current-context: c
`, r.server.URL, base64.StdEncoding.EncodeToString(ca))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Refuse has the webhook refuse a token from now on.
func (r *Reviewer) Refuse(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[token] = true
}

// Close ends the webhook.
func (r *Reviewer) Close() { r.server.Close() }

func (r *Reviewer) review(w http.ResponseWriter, req *http.Request) {
	var review authv1.TokenReview
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<20)).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	refused := r.refused[review.Spec.Token]
	r.mu.Unlock()
	review.Status = authv1.TokenReviewStatus{Authenticated: !refused}
	if !refused {
		review.Status.User = authv1.UserInfo{Username: ReviewedUser}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}
