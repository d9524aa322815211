//go:build unix

package differential

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/imagecred"
)

// The oracle's question and answer (conformance/kubernetes/oracle/secrets.go).
type (
	secretsQuestion struct {
		Secrets []pullSecret      `json:"secrets"`
		Dir     string            `json:"dir"`
		Files   map[string]string `json:"files"`
		Images  []string          `json:"images"`
	}
	pullSecret struct {
		Name string            `json:"name"`
		Type string            `json:"type"`
		Data map[string][]byte `json:"data"`
	}
	secretsAnswer struct {
		Error   string         `json:"error"`
		Lookups [][]credential `json:"lookups"`
	}
)

// TestPullSecretsAsTheKubelet holds the order of imagePullSecrets and of the node's
// docker config, and what is wrong with either, against the kubelet's own code.
func TestPullSecretsAsTheKubelet(t *testing.T) {
	o := startOracle(t, "secrets", "HOME="+t.TempDir()) // nothing of this machine's own docker config
	r := newRand(t)
	const rounds = 1000
	dir := t.TempDir()
	var questions []secretsQuestion
	for range rounds {
		q := secretsQuestion{Dir: dir, Files: map[string]string{}, Images: keyringImages}
		for i := range r.IntN(4) {
			q.Secrets = append(q.Secrets, newSecret(r, i))
		}
		switch r.IntN(3) {
		case 0:
			q.Files["config.json"] = newDockerConfig(r, "node", true)
		case 1:
			q.Files[".dockercfg"] = newDockerConfig(r, "node", false)
		}
		questions = append(questions, q)
	}
	answers := ask[secretsQuestion, secretsAnswer](o, questions...)
	refused, logins := 0, 0
	for i, q := range questions {
		got, want := ownAnswer(t, q), answers[i]
		if strings.HasPrefix(want.Error, "oracle: ") {
			t.Fatal(want.Error)
		}
		// Errors of the JSON decoder hold the names of Go's types.
		if (got.Error != "") != (want.Error != "") || !strings.HasPrefix(want.Error, "json: ") && got.Error != want.Error {
			t.Fatalf("%s\nthe kubelet: %q\nimagecred:   %q", asJSON(q), want.Error, got.Error)
		}
		if want.Error != "" {
			refused++
			continue
		}
		if diff := cmp.Diff(want.Lookups, got.Lookups); diff != "" {
			t.Fatalf("%s\n(-kubelet +imagecred):\n%s", asJSON(q), diff)
		}
		for _, l := range want.Lookups {
			logins += len(l)
		}
	}
	if logins < rounds || refused < rounds/20 {
		t.Errorf("%d logins and %d refusals in %d rounds: the cases are too tame", logins, refused, rounds)
	}
}

// ownAnswer is imagecred's.
func ownAnswer(t *testing.T, q secretsQuestion) secretsAnswer {
	t.Helper()
	var pod imagecred.Pod
	for _, s := range q.Secrets {
		d, err := imagecred.PullSecret("imagePullSecret "+s.Name, s.Type, s.Data)
		if err != nil {
			continue // passed over
		}
		pod.Secrets = append(pod.Secrets, d)
	}
	for name, text := range q.Files {
		d, err := imagecred.ReadDockerConfig(name, []byte(text))
		if err != nil {
			continue // and then it has none
		}
		pod.NodeConfig = &d
	}
	var a secretsAnswer
	host := imagecred.Host{Config: &imagecred.Config{}}
	for _, image := range q.Images {
		story, err := host.Explain(t.Context(), imagecred.Ref{Repository: image}, pod)
		if err != nil {
			t.Fatal(err)
		}
		if story.Refusal != "" {
			_, a.Error, _ = strings.Cut(story.Refusal, ": ")
			return a
		}
		one := []credential{}
		for _, l := range story.Attempts {
			one = append(one, credential{l.Username, l.Password.Reveal()})
		}
		a.Lookups = append(a.Lookups, one)
	}
	return a
}

func newSecret(r *rand.Rand, i int) pullSecret {
	s := pullSecret{Name: fmt.Sprintf("s%d", i), Data: map[string][]byte{}}
	whole := chance(r, 60)
	s.Type = "kubernetes.io/dockercfg"
	field := ".dockercfg"
	if whole {
		s.Type, field = "kubernetes.io/dockerconfigjson", ".dockerconfigjson"
	}
	s.Data[field] = []byte(newDockerConfig(r, s.Name, whole))
	switch r.IntN(12) {
	case 0:
		s.Type = pick(r, "Opaque", "", "kubernetes.io/dockerconfigjson")
	case 1:
		delete(s.Data, field)
	case 2:
		s.Data[field] = nil
	}
	return s
}

// newDockerConfig thinks of a docker config. No two of its keys come to the same,
// for then the kubelet's order is any.
func newDockerConfig(r *rand.Rand, who string, whole bool) string {
	entries := map[string]any{}
	keys := []string{"reg.io", "reg.io/team", "*.io", "reg.io:5000", "https://a.reg.io/v2/", "*.reg.io", "https://index.docker.io/v1/", "docker.io", "http://reg.io/v1/team-other/", "b a d", "other.io", "", "index.docker.io/v2/"}
	r.Shuffle(len(keys), func(a, b int) { keys[a], keys[b] = keys[b], keys[a] })
	hub := false
	for _, k := range keys[:r.IntN(6)] {
		if strings.Contains(k, "index.docker.io") {
			if hub {
				continue // the same key, and then any order
			}
			hub = true
		}
		entries[k] = newEntry(r, who+" "+k)
	}
	var doc any = entries
	if whole {
		top := map[string]any{pickRarely(r, "auths", "AUTHS"): entries}
		if chance(r, 10) {
			top["credHelpers"] = map[string]string{"reg.io": "ecr-login"}
		}
		if chance(r, 5) {
			top["HttpHeaders"] = pick[any](r, map[string]string{"a": "b"}, 5)
		}
		if chance(r, 2) {
			top["auths"] = pick[any](r, nil, []string{}, "x")
		}
		doc = top
	}
	data, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	switch r.IntN(60) {
	case 0:
		return string(data[:len(data)-1])
	case 1:
		return string(data) + "{}"
	case 2:
		return "null"
	}
	return string(data)
}

func newEntry(r *rand.Rand, user string) any {
	encoding := pick(r, base64.StdEncoding, base64.RawStdEncoding)
	auth := encoding.EncodeToString([]byte(user + ":p:q"))
	switch r.IntN(40) {
	case 0:
		return nil
	case 1:
		return map[string]any{"auth": "n o"}
	case 2:
		return map[string]any{"auth": encoding.EncodeToString([]byte("nocolon"))}
	case 3:
		return map[string]any{"username": 5}
	case 4:
		return map[string]any{"auth": auth + " "}
	case 5:
		return map[string]any{"UserName": user, "PASSWORD": "p"}
	case 6:
		return map[string]any{"email": 5, "username": user}
	case 7:
		return map[string]any{"provider": "x", "identitytoken": "y", "username": user, "password": "p"}
	}
	if chance(r, 50) {
		return map[string]any{"auth": auth, "username": "not me"}
	}
	return map[string]any{"username": user, "password": "p", "email": "e"}
}

func asJSON(v any) string {
	data, _ := json.MarshalIndent(v, "", " ")
	return string(data)
}
