//go:build unix

package differential

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubecred/kubecred/credapi"
)

// answer is a generated answer of an exec plugin.
type answer struct {
	text    string
	version string // that it claims to have
	// strict says that credapi is meant to be stricter about it than client-go.
	strict bool
}

// newAnswer makes an ExecCredential, sane or with a fault.
func newAnswer(r *rand.Rand) answer {
	a := answer{version: "client.authentication.k8s.io/" + pick(r, "v1", "v1", "v1beta1", "v1beta1", "v1alpha1")}
	faults := pick(r, 0, 0, 4, 10)
	odd := func(sane string) string {
		if chance(r, faults) {
			return pick(r, "null", `""`, "0", "true", "[]", "{}", `"x"`, "1.5", `["a"]`, `{"a":1}`)
		}
		return sane
	}
	member := func(name, value string) string {
		if chance(r, faults) {
			a.strict = true // names in other case
			name = pick(r, strings.ToUpper(name), strings.ToUpper(name[:1])+name[1:], strings.ToLower(name))
		}
		return fmt.Sprintf("%q: %s", name, value)
	}
	var status []string
	if !chance(r, faults) {
		status = append(status, member("token", odd(pick(r, `"t0ken"`, `"a.b.c"`, `"k8s-aws-v1.aHR0cHM6"`, `"é"`, `"\u0041b"`, `"with space"`))))
	}
	if chance(r, 50) {
		status = append(status, member("expirationTimestamp", odd(pick(r, `"2030-01-02T03:04:05Z"`, `"2030-01-02T03:04:05+02:00"`, `"2030-01-02T03:04:05.123456Z"`, "null", `"2030-01-02"`, `"tomorrow"`, `"2030-01-02t03:04:05z"`, `1893456000`))))
	}
	if chance(r, faults) {
		status = append(status, member(pick(r, "clientCertificateData", "clientKeyData"), odd(`"-----BEGIN CERTIFICATE-----"`)))
	}
	if chance(r, 10) {
		status = append(status, member("note", `{"of": ["no", "interest"]}`))
	}
	if len(status) > 0 && chance(r, faults) {
		a.strict = true // a name given twice
		status = append(status, status[0])
	}
	r.Shuffle(len(status), func(i, j int) { status[i], status[j] = status[j], status[i] })
	top := []string{
		member("kind", odd(`"ExecCredential"`)),
		member("apiVersion", odd(fmt.Sprintf("%q", a.version))),
		member("spec", pick(r, "{}", `{"interactive": false}`)), // which credapi does not read
		member("status", odd("{"+strings.Join(status, ", ")+"}")),
	}
	if chance(r, 20) {
		top = append(top[:2], top[3:]...)
	}
	if chance(r, faults) {
		i := r.IntN(len(top))
		top = append(top[:i], top[i+1:]...)
	}
	r.Shuffle(len(top), func(i, j int) { top[i], top[j] = top[j], top[i] })
	a.text = "{" + strings.Join(top, pick(r, ",", ",\n  ")) + "}" + pick(r, "", "\n")
	if chance(r, faults) {
		a.strict = true // something around the document, which may still be YAML
		switch r.IntN(5) {
		case 0:
			a.text += pick(r, "{}", "x", "\nhello", ",", "}")
		case 1:
			a.text = pick(r, "hello\n", "\ufeff", "---\n", "# note\n", "\n\n ") + a.text
		case 2:
			a.text = a.text[:r.IntN(len(a.text))]
		case 3:
			a.text = strings.Replace(a.text, `"`, `'`, 2)
		case 4:
			a.text = ""
		}
	}
	return a
}

// client is client-go's own exec authenticator around a plugin, asking a server
// that says which token it was shown.
type execClient struct {
	t      *testing.T
	server *httptest.Server
}

func newExecClient(t *testing.T) *execClient {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprint(w, strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "))
	}))
	t.Cleanup(s.Close)
	return &execClient{t, s}
}

// ask returns the token that reaches the server, or client-go's error.
func (c *execClient) ask(version string, env []clientcmdapi.ExecEnvVar, command string, args ...string) (token string, err error) {
	c.t.Helper()
	client, err := rest.HTTPClientFor(&rest.Config{Host: c.server.URL, ExecProvider: &clientcmdapi.ExecConfig{
		APIVersion: version, Command: command, Args: args, Env: env, InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}})
	if err != nil {
		return "", err
	}
	client.Timeout = 20 * time.Second
	res, err := client.Get(c.server.URL)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body := make([]byte, 4096)
	n, _ := res.Body.Read(body)
	return string(body[:n]), nil
}

// TestExecCredential holds credapi against client-go: what one takes the other
// takes, with the same token, except where credapi says that it is stricter;
// and what credapi writes, client-go takes.
func TestExecCredential(t *testing.T) {
	r := newRand(t)
	c := newExecClient(t)
	dir := t.TempDir()
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	const n = 1000
	taken, stricter := 0, 0
	for i := range n {
		a := newAnswer(r)
		file := filepath.Join(dir, fmt.Sprint(i))
		writeFile(t, file, a.text)
		version := a.version
		if strings.HasSuffix(version, "v1alpha1") {
			version = credapi.ExecV1 // clients ask for no other
		}
		want, wantErr := c.ask(version, nil, cat, file)
		got, gotErr := credapi.ParseExecCredential([]byte(a.text))
		ok := gotErr == nil && got.APIVersion == version
		switch {
		case wantErr == nil && ok && got.Token == want:
			taken++
		case wantErr != nil && !ok:
			continue
		case wantErr == nil && a.strict:
			stricter++
			continue
		case ok && strings.Contains(wantErr.Error(), "failed parsing client key/certificate"):
			continue // credapi leaves PEM to who uses it
		default:
			t.Errorf("answer %s\n credapi   %+v, %v\n client-go %q, %v", a.text, got, gotErr, want, wantErr)
			continue
		}
		for _, to := range []string{credapi.ExecV1, credapi.ExecV1Beta1} {
			again := file + filepath.Base(to)
			writeFile(t, again, string(got.Encode(to)))
			if token, err := c.ask(to, nil, cat, again); err != nil || token != want {
				t.Fatalf("%s\n as %s: %q, %v", a.text, got.Encode(to), token, err)
			}
		}
	}
	fmt.Printf("%s: %d answers, %d taken by both, %d by client-go alone\n", t.Name(), n, taken, stricter)
	if taken < n/4 {
		t.Errorf("the generator is out of balance: %d of %d are taken", taken, n)
	}
}

// TestBrokerTranslates puts the real kubecred-exec between client-go and a
// plugin that knows one version of the protocol only.
func TestBrokerTranslates(t *testing.T) {
	r := newRand(t)
	c := newExecClient(t)
	dir := t.TempDir()
	broker := filepath.Join(dir, "kubecred-exec")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", broker, "./cmd/kubecred-exec")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	env := []clientcmdapi.ExecEnvVar{{Name: "XDG_CACHE_HOME", Value: dir}, {Name: "HOME", Value: dir}}
	for i, tried := 0, 0; tried < 50; i++ {
		a := newAnswer(r)
		cred, err := credapi.ParseExecCredential([]byte(a.text))
		if err != nil || cred.ClientKeyData != "" || cred.Token == "" || !cred.Expiration.IsZero() && time.Until(cred.Expiration) < time.Hour {
			continue
		}
		tried++
		file := filepath.Join(dir, fmt.Sprint(i))
		writeFile(t, file, a.text)
		for _, version := range []string{credapi.ExecV1, credapi.ExecV1Beta1} {
			for _, mode := range [][]string{{"client", "--no-cache", "--", "cat", file}, {"client", "--", "cat", file}, {"client", "--", "cat", file}} {
				token, err := c.ask(version, env, broker, mode...)
				if err != nil || token != cred.Token {
					t.Fatalf("%s\n asked for %s with %s: %q, %v", a.text, version, mode, token, err)
				}
			}
		}
	}
}

// TestExecInfo has client-go write the variable that credapi parses.
func TestExecInfo(t *testing.T) {
	c := newExecClient(t)
	dir := t.TempDir()
	for _, version := range []string{credapi.ExecV1, credapi.ExecV1Beta1} {
		file := filepath.Join(dir, "info")
		script := fmt.Sprintf(`printf %%s "$KUBERNETES_EXEC_INFO" > %s; printf '{"kind":"ExecCredential","apiVersion":"%s","status":{"token":"x"}}'`, file, version)
		if _, err := c.ask(version, nil, "sh", "-c", script); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		info, err := credapi.ParseExecInfo(data)
		if err != nil || info.APIVersion != version || info.Interactive {
			t.Fatalf("%s: %+v, %v", data, info, err)
		}
		var theirs, ours any
		if err := json.Unmarshal(data, &theirs); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(info.Encode(), &ours); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(theirs) != fmt.Sprint(ours) {
			t.Errorf("client-go writes %s, credapi %s", data, info.Encode())
		}
	}
}
