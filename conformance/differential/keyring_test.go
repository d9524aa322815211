//go:build unix

package differential

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/imagecred"
)

// The oracle's question and answer (conformance/kubernetes/oracle/keyring.go).
type (
	keyringQuestion struct {
		Config          string           `json:"config"`
		BinDir          string           `json:"binDir"`
		ServiceAccounts []serviceAccount `json:"serviceAccounts"`
		Lookups         []lookup         `json:"lookups"`
	}
	serviceAccount struct {
		Namespace   string            `json:"namespace"`
		Name        string            `json:"name"`
		UID         string            `json:"uid"`
		Annotations map[string]string `json:"annotations"`
	}
	lookup struct {
		Image          string `json:"image"`
		Namespace      string `json:"namespace"`
		Pod            string `json:"pod"`
		PodUID         string `json:"podUID"`
		ServiceAccount string `json:"serviceAccount"`
	}
	keyringAnswer struct {
		Refusal string `json:"refusal"`
		Lookups []struct {
			Credentials []credential `json:"credentials"`
			Log         string       `json:"log"`
		} `json:"lookups"`
	}
	credential struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
)

// TestKeyring gives the same plugins to the kubelet's code and to imagecred, and
// compares after each of several lookups which logins come, in which order, what
// was run, and what the kubelet logged.
func TestKeyring(t *testing.T) {
	r := newRand(t)
	const rounds = 40
	logins, failures := 0, 0
	for range rounds {
		q := newKeyring(t, r, t.TempDir())
		data, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("RUNS", filepath.Join(q.BinDir, "runs-of-kubelet"))
		want := askOnce[keyringAnswer](t.Context(), t, "keyring", q)
		if want.Refusal != "" {
			t.Fatalf("the kubelet refuses the config: %s\n%s", want.Refusal, readPath(t, q.Config))
		}
		t.Setenv("RUNS", filepath.Join(q.BinDir, "runs-of-kubecred"))
		config, err := imagecred.Load(t.Context(), q.Config, 0)
		if err != nil || config.Refusal != "" {
			t.Fatalf("%v, %s", err, config.Refusal)
		}
		host := &imagecred.Host{Config: config, BinDir: q.BinDir, Env: os.Environ(), Now: time.Now}
		for i, l := range q.Lookups {
			story, err := host.Explain(t.Context(), imagecred.Ref{Image: l.Image, Repository: l.Image}, podOf(q, l))
			if err != nil {
				t.Fatal(err)
			}
			got := []credential{}
			for _, a := range story.Attempts {
				got = append(got, credential{a.Username, a.Password.Reveal()})
			}
			logins += len(got)
			if diff := cmp.Diff(want.Lookups[i].Credentials, got); diff != "" {
				t.Fatalf("lookup %d, %+v (-kubelet +kubecred):\n%s\n%s\n%s", i, l, diff, readPath(t, q.Config), data)
			}
			for _, o := range story.Outcomes {
				if o.Status != imagecred.Failed {
					continue
				}
				failures++
				// Dots stand for the words of the kubelet's JSON decoder.
				for part := range strings.SplitSeq(o.Log, "...") {
					if !strings.Contains(want.Lookups[i].Log, part) {
						t.Errorf("lookup %d, %+v: the kubelet logs\n%s\nand not\n%s", i, l, want.Lookups[i].Log, part)
					}
				}
			}
		}
		kubelet, kubecred := runsIn(t, q.BinDir, "runs-of-kubelet"), runsIn(t, q.BinDir, "runs-of-kubecred")
		if diff := cmp.Diff(kubelet, kubecred); diff != "" {
			t.Fatalf("runs (-kubelet +kubecred):\n%s\n%s\n%s", diff, readPath(t, q.Config), data)
		}
	}
	if logins < rounds || failures == 0 {
		t.Errorf("%d logins and %d failures: the cases are too tame", logins, failures)
	}
}

func podOf(q keyringQuestion, l lookup) imagecred.Pod {
	pod := imagecred.Pod{Namespace: l.Namespace, Name: l.Pod, UID: l.PodUID, ServiceAccount: l.ServiceAccount}
	for _, a := range q.ServiceAccounts {
		if a.Namespace == l.Namespace && a.Name == l.ServiceAccount {
			pod.ServiceAccountUID, pod.Annotations = a.UID, a.Annotations
		}
	}
	pod.Token = func(context.Context, string) (imagecred.Secret, error) {
		return imagecred.Secret("token-of-" + l.ServiceAccount), nil
	}
	return pod
}

func runsIn(t *testing.T, dir, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(string(data), "\n")
}

var keyringImages = []string{
	"reg.io/x", "reg.io/team/app", "reg.io/team-other/app", "a.reg.io/x", "reg.io:5000/x", "docker.io/library/busybox", "docker.io/me/app",
}

// newKeyring writes a config with its plugins, and thinks of images.
func newKeyring(t *testing.T, r *rand.Rand, dir string) keyringQuestion {
	t.Helper()
	q := keyringQuestion{Config: filepath.Join(dir, "config.yaml"), BinDir: dir}
	var config strings.Builder
	config.WriteString("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n")
	for i := range 1 + r.IntN(3) {
		fmt.Fprintf(&config, "- name: p%d\n  matchImages: [%q, %q]\n  defaultCacheDuration: %s\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n", i,
			pick(r, "reg.io", "reg.io:5000", "*.reg.io", "docker.io", "reg.io/team"), pick(r, "reg.io", "docker.io/library/", "a.reg.io"), pick(r, "1h", "0s", "10m"))
		if chance(r, 40) {
			requireAccount := chance(r, 50)
			fmt.Fprintf(&config, "  tokenAttributes:\n    serviceAccountTokenAudience: aud\n    cacheType: %s\n    requireServiceAccount: %v\n    optionalServiceAccountAnnotationKeys: [o/k]\n", pick(r, "Token", "ServiceAccount"), requireAccount)
			if requireAccount && chance(r, 50) {
				config.WriteString("    requiredServiceAccountAnnotationKeys: [r/k]\n")
			}
		}
		writeFile(t, filepath.Join(dir, fmt.Sprintf("response%d", i)), newResponse(r, i))
		name := filepath.Join(dir, fmt.Sprintf("p%d", i))
		writeFile(t, name, fmt.Sprintf("#!/bin/sh\nread -r request\necho \"p%d $request\" >> \"$RUNS\"\n%s", i, newScript(r, filepath.Join(dir, fmt.Sprintf("response%d", i)))))
		if err := os.Chmod(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, q.Config, config.String())
	q.ServiceAccounts = []serviceAccount{
		{Namespace: "n", Name: "a", UID: "1", Annotations: map[string]string{"r/k": "v", "o/k": "w", "x/y": "z"}},
		{Namespace: "n", Name: "b", UID: "2"},
	}
	for range 6 + r.IntN(6) {
		q.Lookups = append(q.Lookups, lookup{
			Image: pick(r, keyringImages...), Namespace: "n", Pod: "p", PodUID: "u", ServiceAccount: pick(r, "", "a", "a", "b"),
		})
	}
	return q
}

func newScript(r *rand.Rand, response string) string {
	switch {
	case chance(r, 8):
		return "exit 3\n"
	case chance(r, 8):
		return "echo no; exit 0\n"
	case chance(r, 15): // the token as the password
		return `token=$(printf '%s' "$request" | sed -n 's/.*"serviceAccountToken":"\([^"]*\)".*/\1/p')
echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Image","auth":{"reg.io":{"username":"t","password":"'"$token"'"}}}'
`
	}
	return "cat '" + response + "'\n"
}

// newResponse thinks of an answer. No two of its keys come to the same, for then
// the kubelet's order is any.
func newResponse(r *rand.Rand, i int) string {
	auth := map[string]any{}
	keys := []string{"reg.io", "reg.io/team", "*.io", "reg.io:5000", "https://a.reg.io/v2/", "*.reg.io", "https://index.docker.io/v1/", "docker.io", "http://reg.io/v1/team/", "b a d", "other.io", "*", "reg.io/te"}
	r.Shuffle(len(keys), func(a, b int) { keys[a], keys[b] = keys[b], keys[a] })
	for _, k := range keys[:r.IntN(6)] {
		auth[k] = map[string]any{"username": fmt.Sprintf("%d %s", i, k), "password": "p"}
	}
	response := map[string]any{
		"kind": pickRarely(r, "CredentialProviderResponse", "CredentialProviderRequest"), "apiVersion": pickRarely(r, "credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1beta1"),
		"cacheKeyType": pickRarely(r, pick(r, "Image", "Registry", "Global"), "image"), "auth": auth,
	}
	switch r.IntN(6) {
	case 0:
		response["cacheDuration"] = "0s"
	case 1:
		response["cacheDuration"] = "1h"
	case 2:
		response["cacheDuration"] = "-1s"
	case 3:
		response["cacheDuration"] = nil
	}
	if chance(r, 5) {
		response["auth"] = nil
	}
	if chance(r, 5) {
		response["expires"] = "soon"
	}
	if chance(r, 3) {
		response["cacheDuration"] = 5
	}
	data, err := json.Marshal(response)
	if err != nil {
		panic(err)
	}
	if chance(r, 4) {
		data = append(data, "\n{}"...)
	}
	if chance(r, 4) {
		data = slices.Concat([]byte("  \n"), data, []byte("\n\n"))
	}
	return string(data)
}

// pickRarely takes the second now and then.
func pickRarely(r *rand.Rand, often, rarely string) string {
	if chance(r, 5) {
		return rarely
	}
	return often
}
