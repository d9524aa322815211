package cluster

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// streamed is a cluster with pods of two ReplicaSets, some of which are over.
func streamed() *fakeAPI {
	f := emptyCluster()
	f.streams = true
	for i := range 7 {
		p := pod("apps", fmt.Sprintf("web-%d", i), "web", "example.com/web:1", controller("ReplicaSet", "apps/v1", "web-5d4f7c9b8", "rs-1"))
		if i > 4 {
			p["status"] = obj{"phase": "Succeeded"}
		}
		f.lists["/api/v1/pods"] = append(f.lists["/api/v1/pods"], p)
	}
	f.lists["/apis/apps/v1/replicasets"] = []any{partial("apps", "web-5d4f7c9b8", "rs-1", controller("Deployment", "apps/v1", "web", "d-1"))}
	return f
}

// TestStreamsGiveWhatPagesGive, also where a stream breaks off, is not allowed,
// or is not known to the API server.
func TestStreamsGiveWhatPagesGive(t *testing.T) {
	inPages := streamed()
	inPages.streams = false
	want, err := inPages.client(t).Read(t.Context(), nil)
	if err != nil || len(want.Pods) != 5 || want.Finished != 2 || want.Pods[0].Owner.Kind != "Deployment" {
		t.Fatalf("%v, %+v", err, want)
	}
	broken, forbidden := streamed(), streamed()
	broken.cut = 6
	listed := func(f *fakeAPI) bool {
		for _, r := range f.requests {
			if strings.HasPrefix(r, "GET /api/v1/pods?") && !strings.Contains(r, "watch=true") {
				return true
			}
		}
		return false
	}
	whole := streamed()
	for name, tt := range map[string]struct {
		api    *fakeAPI
		handle http.Handler
		pages  bool
	}{
		"a stream":                  {whole, whole, false},
		"a stream that breaks off":  {broken, broken, true},
		"a watch that is forbidden": {forbidden, denyWatches(forbidden), true},
	} {
		got, err := clientOf(t, tt.handle).Read(t.Context(), nil)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-pages +got):\n%s", name, err, diff)
		}
		if listed(tt.api) != tt.pages {
			t.Errorf("%s: pods listed in pages: %v, want %v:\n%s", name, !tt.pages, tt.pages, strings.Join(tt.api.requests, "\n"))
		}
	}
}

func denyWatches(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("watch") != "" {
			refuse(w, http.StatusForbidden, "")
			return
		}
		next.ServeHTTP(w, req)
	})
}
