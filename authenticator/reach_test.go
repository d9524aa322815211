package authenticator

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestReach: one region that answers is enough, and those that do not are named.
func TestReach(t *testing.T) {
	up := map[string]bool{"sts.eu-west-1.amazonaws.com": true}
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		if up[r.Host] {
			return &http.Response{StatusCode: 403, Body: io.NopCloser(strings.NewReader(""))}, nil
		}
		return nil, errors.New("connection refused")
	})
	r := &Reach{Hosts: []string{"sts.us-east-1.amazonaws.com", "sts.eu-west-1.amazonaws.com"}, Transport: transport}
	const note = "[STS at sts.us-east-1.amazonaws.com can not be reached: connection refused]"
	if err := r.Check(t.Context()); err != nil || fmt.Sprint(r.Notes()) != note {
		t.Errorf("%v, %v", err, r.Notes())
	}
	up["sts.eu-west-1.amazonaws.com"] = false
	if err := r.Check(t.Context()); err != nil {
		t.Errorf("asked again at once: %v", err)
	}
	down := &Reach{Hosts: r.Hosts, Transport: transport}
	if err := down.Check(t.Context()); err == nil || strings.Count(err.Error(), "can not be reached") != 2 {
		t.Errorf("%v", err)
	}
	// The server goes on answering while a region is down, and says which.
	s := serve(t, http.NotFoundHandler(), func(s *Server) { s.Reach, s.Notes = r.Check, r.Notes })
	if code, body, err := s.get("/readyz"); code != 200 || body != "ok\n"+note[1:len(note)-1]+"\n" {
		t.Errorf("%d %s %v", code, body, err)
	}
}
