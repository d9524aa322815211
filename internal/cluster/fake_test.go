package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// fakeAPI answers lists in pages of at most pageOf objects, as JSON, and says
// no where it is told to.
type fakeAPI struct {
	pageOf  int
	lists   map[string][]any // by path: "/api/v1/pods"
	objects map[string]any   // by path
	text    map[string]string
	deny    map[string]int // status by path
	expire  string         // the continue token that is answered with 410 once
	streams bool           // lists are streamed where that is asked for
	cut     int            // streams of pods end after that many objects, 0 for never

	mu       sync.Mutex
	requests []string
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, req.Method+" "+req.URL.RequestURI())
	path := req.URL.Path
	if status, ok := f.deny[path]; ok {
		refuse(w, status, "")
		return
	}
	if text, ok := f.text[path]; ok {
		fmt.Fprint(w, text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if o, ok := f.objects[path]; ok {
		_ = json.NewEncoder(w).Encode(o)
		return
	}
	items, ok := f.lists[path]
	if !ok {
		refuse(w, http.StatusNotFound, "")
		return
	}
	q := req.URL.Query()
	if q.Get("watch") != "" {
		f.stream(w, req, items)
		return
	}
	limit, _ := strconv.Atoi(q.Get("limit"))
	if f.pageOf > 0 && limit > f.pageOf {
		limit = f.pageOf
	}
	token := q.Get("continue")
	if token != "" && token == f.expire {
		f.expire = ""
		refuse(w, http.StatusGone, "fresh-"+strings.TrimPrefix(token, "at-"))
		return
	}
	from, _ := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(token, "at-"), "fresh-"))
	to, next := len(items), ""
	if limit > 0 && from+limit < to {
		to = from + limit
		next = fmt.Sprintf("at-%d", to)
	}
	kind := "List"
	if strings.Contains(req.Header.Get("Accept"), "as=PartialObjectMetadataList") {
		kind = "PartialObjectMetadataList"
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind, "apiVersion": "meta.k8s.io/v1", "metadata": map[string]any{"continue": next}, "items": items[from:to]})
		return
	}
	kind = map[string]string{"pods": "PodList", "serviceaccounts": "ServiceAccountList", "poddisruptionbudgets": "PodDisruptionBudgetList"}[path[strings.LastIndex(path, "/")+1:]]
	version := "v1"
	if strings.HasPrefix(path, "/apis/") {
		version = strings.Join(strings.Split(path, "/")[2:4], "/")
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind, "apiVersion": version, "metadata": map[string]any{"continue": next}, "items": items[from:to]})
}

// stream sends a list as API servers do that know to (WatchList).
func (f *fakeAPI) stream(w http.ResponseWriter, req *http.Request, items []any) {
	if !f.streams || req.URL.Query().Get("sendInitialEvents") != "true" {
		refuse(w, http.StatusUnprocessableEntity, "")
		return
	}
	kind := obj{"kind": "Pod", "apiVersion": "v1"}
	if strings.Contains(req.Header.Get("Accept"), "as=PartialObjectMetadata") {
		kind = obj{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
	}
	enc := json.NewEncoder(w)
	for i, item := range items {
		if f.cut > 0 && i == f.cut && strings.HasSuffix(req.URL.Path, "/pods") {
			return
		}
		o := obj{}
		for k, v := range kind {
			o[k] = v
		}
		for k, v := range item.(obj) {
			o[k] = v
		}
		_ = enc.Encode(obj{"type": "ADDED", "object": o})
	}
	_ = enc.Encode(obj{"type": "BOOKMARK", "object": obj{"kind": kind["kind"], "apiVersion": kind["apiVersion"],
		"metadata": obj{"resourceVersion": "1", "annotations": obj{"k8s.io/initial-events-end": "true"}}}})
}

func refuse(w http.ResponseWriter, status int, next string) {
	reason := map[int]string{403: "Forbidden", 404: "NotFound", 410: "Expired", 422: "Invalid", 401: "Unauthorized", 500: "InternalError"}[status]
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason, "message": reason,
		"metadata": map[string]any{"continue": next},
	})
}

// client starts the fake and connects to it.
func (f *fakeAPI) client(t testing.TB) *Client {
	t.Helper()
	return clientOf(t, f)
}

func clientOf(t testing.TB, api http.Handler) *Client {
	t.Helper()
	s := httptest.NewServer(api)
	t.Cleanup(s.Close)
	c, err := newClient(&rest.Config{Host: s.URL}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type obj = map[string]any

func meta(ns, name, uid string, more obj) obj {
	m := obj{"namespace": ns, "name": name, "uid": uid, "creationTimestamp": "2026-08-01T00:00:00Z"}
	for k, v := range more {
		m[k] = v
	}
	return m
}

func controller(kind, api, name, uid string) obj {
	return obj{"ownerReferences": []any{obj{"kind": kind, "apiVersion": api, "name": name, "uid": uid, "controller": true}}}
}

func partial(ns, name, uid string, more obj) any {
	return obj{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta(ns, name, uid, more)}
}

// pod is a running pod with the token that every pod gets.
func pod(ns, name, account, image string, more obj) obj {
	return obj{
		"metadata": meta(ns, name, "uid-"+name, more),
		"spec": obj{
			"nodeName": "node-1", "serviceAccountName": account,
			"containers": []any{obj{"name": "main", "image": image, "volumeMounts": []any{
				obj{"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}}}},
			"volumes": []any{obj{"name": "kube-api-access-x", "projected": obj{"sources": []any{
				obj{"serviceAccountToken": obj{"path": "token", "expirationSeconds": 3607}}}}}},
		},
		"status": obj{
			"phase": "Running", "startTime": "2026-08-01T00:00:05Z",
			"containerStatuses": []any{obj{"name": "main", "state": obj{"running": obj{"startedAt": "2026-08-01T00:00:09Z"}}}},
		},
	}
}

func emptyCluster() *fakeAPI {
	f := &fakeAPI{pageOf: 2, lists: map[string][]any{}, objects: map[string]any{}, text: map[string]string{}, deny: map[string]int{}}
	for _, k := range ownerKinds {
		f.lists["/apis/"+k.resource.Group+"/v1/"+k.resource.Resource] = []any{}
	}
	for _, k := range []string{"pods", "secrets", "serviceaccounts", "namespaces"} {
		f.lists["/api/v1/"+k] = []any{}
	}
	f.text["/version"] = `{"gitVersion":"v1.35.4"}`
	f.text["/metrics"] = "# HELP x y\nserviceaccount_stale_tokens_total 7\nserviceaccount_legacy_auto_token_uses_total 2\nprocess_start_time_seconds 1.7953e+09\n"
	return f
}
