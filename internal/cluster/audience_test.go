package cluster

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

func TestNodesMayRequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review authorizationv1.SubjectAccessReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		a := review.Spec.ResourceAttributes
		if r.URL.Path != "/apis/authorization.k8s.io/v1/subjectaccessreviews" || a.Verb != "request-serviceaccounts-token-audience" || strings.Join(review.Spec.Groups, ",") != "system:nodes,system:authenticated" {
			t.Errorf("%s: %+v", r.URL.Path, review.Spec)
		}
		if a.Resource == "secret.example.com" {
			refuse(w, http.StatusForbidden, "")
			return
		}
		review.Status.Allowed = a.Resource == "reg.example.com"
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	defer server.Close()
	kube, err := newKube(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{Name: "test", kube: kube}
	for audience, want := range map[string]bool{"reg.example.com": true, "other.example.com": false} {
		if got, err := c.NodesMayRequest(t.Context(), audience); err != nil || got != want {
			t.Errorf("%s: %v, %v", audience, got, err)
		}
	}
	if _, err := c.NodesMayRequest(t.Context(), "secret.example.com"); err == nil || !strings.HasPrefix(err.Error(), `the right of nodes to the audience "secret.example.com" of test: `) {
		t.Errorf("%v", err)
	}
}
