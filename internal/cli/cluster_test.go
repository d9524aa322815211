package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := paths[req.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		if answer == nil && listOf(req.URL.Path) != "" {
			answer = []any{}
		}
		switch v := answer.(type) {
		case string:
			_, _ = w.Write([]byte(v))
		case []any:
			list := map[string]any{"kind": listOf(req.URL.Path), "apiVersion": "v1", "metadata": map[string]any{}, "items": v}
			if strings.Contains(req.Header.Get("Accept"), "as=PartialObjectMetadataList") {
				list["kind"], list["apiVersion"] = "PartialObjectMetadataList", "meta.k8s.io/v1"
				for _, o := range v {
					o := o.(map[string]any)
					o["kind"], o["apiVersion"] = "PartialObjectMetadata", "meta.k8s.io/v1"
				}
			}
			_ = json.NewEncoder(w).Encode(list)
		case map[string]any:
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

func listOf(path string) string {
	return map[string]string{
		"pods": "PodList", "serviceaccounts": "ServiceAccountList", "secrets": "SecretList", "namespaces": "NamespaceList",
		"replicasets": "ReplicaSetList", "deployments": "DeploymentList", "statefulsets": "StatefulSetList",
		"daemonsets": "DaemonSetList", "jobs": "JobList", "cronjobs": "CronJobList",
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
