package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// apiServer answers with the lists of a file in testdata/cluster: objects by
// path. Lists of metadata are made from the same objects. What the file gives a
// number for is refused with that status.
func apiServer(t *testing.T, file string) *httptest.Server {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "cluster", file))
	if err != nil {
		t.Fatal(err)
	}
	var paths map[string]any
	if err := json.Unmarshal(data, &paths); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		answer, known := paths[req.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		if !known {
			answer = within(paths, req.URL.Path)
		}
		if o, ok := answer.(map[string]any); ok && req.Method == http.MethodPatch {
			patch(t, o, req)
		}
		switch v := answer.(type) {
		case string:
			_, _ = w.Write([]byte(v))
		case []any:
			version := "v1"
			if strings.HasPrefix(req.URL.Path, "/apis/") {
				version = strings.Join(strings.Split(req.URL.Path, "/")[2:4], "/")
			}
			list := map[string]any{"kind": listOf(req.URL.Path), "apiVersion": version, "metadata": map[string]any{}, "items": v}
			if strings.Contains(req.Header.Get("Accept"), "as=PartialObjectMetadataList") {
				list["kind"], list["apiVersion"] = "PartialObjectMetadataList", "meta.k8s.io/v1"
				items := []any{}
				for _, o := range v {
					items = append(items, map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": o.(map[string]any)["metadata"]})
				}
				list["items"] = items
			}
			_ = json.NewEncoder(w).Encode(list)
		case map[string]any:
			if strings.Contains(req.Header.Get("Accept"), "as=PartialObjectMetadata") {
				v = map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": v["metadata"]}
			}
			_ = json.NewEncoder(w).Encode(v)
		default:
			status := http.StatusNotFound
			if n, ok := v.(float64); ok {
				status = int(n)
			}
			reason := map[int]string{403: "Forbidden", 404: "NotFound", 401: "Unauthorized"}[status]
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason, "message": strings.ToLower(reason)})
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// within finds what a path names in the lists of all namespaces: an object of
// one, or the list of one namespace.
func within(paths map[string]any, path string) any {
	prefix, rest, ok := strings.Cut(path, "/namespaces/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 2 {
		if listOf(path) != "" {
			return []any{}
		}
		return nil
	}
	all, _ := paths[prefix+"/"+parts[1]].([]any)
	list := []any{}
	for _, o := range all {
		m := o.(map[string]any)["metadata"].(map[string]any)
		if m["namespace"] != parts[0] {
			continue
		}
		if len(parts) == 3 && m["name"] == parts[2] {
			return o
		}
		list = append(list, o)
	}
	if len(parts) == 2 && listOf(path) != "" {
		return list
	}
	return nil
}

// patch applies a pod template's annotations, as the API server would.
func patch(t *testing.T, o map[string]any, req *http.Request) {
	t.Helper()
	type template struct {
		Spec struct {
			Template struct {
				Metadata struct {
					Annotations map[string]any `json:"annotations"`
				} `json:"metadata"`
			} `json:"template"`
		} `json:"spec"`
	}
	var want template
	if err := json.NewDecoder(req.Body).Decode(&want); err != nil {
		t.Errorf("patch: %v", err)
	}
	if got := req.Header.Get("Content-Type"); got != "application/apply-patch+yaml" {
		t.Errorf("patch with content type %s", got)
	}
	o["spec"].(map[string]any)["template"].(map[string]any)["metadata"].(map[string]any)["annotations"] = want.Spec.Template.Metadata.Annotations
}

func listOf(path string) string {
	return map[string]string{
		"pods": "PodList", "serviceaccounts": "ServiceAccountList", "secrets": "SecretList", "namespaces": "NamespaceList",
		"replicasets": "ReplicaSetList", "deployments": "DeploymentList", "statefulsets": "StatefulSetList",
		"daemonsets": "DaemonSetList", "poddisruptionbudgets": "PodDisruptionBudgetList", "jobs": "JobList", "cronjobs": "CronJobList",
	}[path[strings.LastIndex(path, "/")+1:]]
}

// kubeconfig writes one for the server and returns its path.
func kubeconfig(t *testing.T, url string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "kubeconfig")
	text := "apiVersion: v1\nkind: Config\nclusters:\n- {name: c, cluster: {server: \"" + url + "\"}}\n" +
		"users:\n- {name: u, user: {token: a-token}}\ncontexts:\n- {name: prod, context: {cluster: c, user: u}}\ncurrent-context: prod\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
