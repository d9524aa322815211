package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/internal/awsfake"
	"github.com/kubecred/kubecred/internal/cli"
)

// webhook is a running `authenticator serve`.
type webhook struct {
	url    string
	client *http.Client
	logs   chan map[string]any
	end    func() int
}

// startWebhook runs the command until it listens. Its certificate is that of
// dir.
func startWebhook(t *testing.T, getenv func(string) string, dir string, args ...string) *webhook {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- cli.Run(ctx, append([]string{"kubecred", "authenticator", "serve", "--address", "127.0.0.1:0"}, args...), cli.World{
			Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: w, Getenv: getenv, Now: time.Now,
		})
		_ = w.Close()
	}()
	h := &webhook{logs: make(chan map[string]any, 1000)}
	go func() {
		defer close(h.logs)
		for s := bufio.NewScanner(r); s.Scan(); {
			var l map[string]any
			if err := json.Unmarshal(s.Bytes(), &l); err != nil {
				l = map[string]any{"msg": s.Text()}
			}
			h.logs <- l
		}
	}()
	h.end = func() int { cancel(); return <-status }
	l := h.wait(t, "listening")
	h.url = fmt.Sprintf("https://%v", l["address"])
	pem, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	h.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}, Timeout: 10 * time.Second}
	t.Cleanup(h.client.CloseIdleConnections)
	return h
}

// wait returns the next log line with the message.
func (h *webhook) wait(t *testing.T, message string) map[string]any {
	t.Helper()
	var seen []string
	timeout := time.After(10 * time.Second)
	for {
		select {
		case l, ok := <-h.logs:
			if !ok {
				t.Fatalf("it ended without %q: %v", message, seen)
			}
			if l["msg"] == message {
				return l
			}
			seen = append(seen, fmt.Sprint(l["msg"]))
		case <-timeout:
			t.Fatalf("no log line %q: %v", message, seen)
		}
	}
}

func (h *webhook) review(t *testing.T, token string) (int, string) {
	t.Helper()
	body := fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":%q}}`, token)
	resp, err := h.client.Post(h.url+"/authenticate", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func (h *webhook) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := h.client.Get(h.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestAuthenticatorServe(t *testing.T) {
	_, getenv := startAWS(t)
	dir := t.TempDir()
	mapping := filepath.Join(dir, "aws-auth.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(mapping, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entry := "- userarn: " + awsfake.UserARN + "\n  username: alice\n  groups: [%s]\n"
	write(fmt.Sprintf(entry, "one"))
	h := startWebhook(t, getenv, dir, "--cluster-id", "demo", "--mapping", mapping, "--state-dir", dir, "--generate-kubeconfig", filepath.Join(dir, "webhook.yaml"))
	token := signToken(t, awsfake.UserKey, awsfake.UserSecret, "demo", time.Now())
	if code, body := h.review(t, token); code != 200 || !strings.Contains(body, `"groups":["one"]`) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := h.get(t, "/readyz"); code != 200 {
		t.Errorf("readyz: %d %s", code, body)
	}
	if code, body := h.get(t, "/metrics"); code != 200 || !strings.Contains(body, `kubecred_authenticator_review_seconds_count{result="authenticated"} 1`) {
		t.Errorf("metrics: %d %s", code, body)
	}
	if code, _ := h.get(t, "/elsewhere"); code != 404 {
		t.Errorf("elsewhere: %d", code)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "webhook.yaml")); err != nil || !bytes.Contains(data, []byte("/authenticate\n")) {
		t.Errorf("%v, %s", err, data)
	}
	if info, err := os.Stat(filepath.Join(dir, "key.pem")); err != nil || info.Mode().Perm() != 0o600 && os.Getenv("OS") != "Windows_NT" {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
	// A change counts without a restart; what does not parse is kept out.
	write(fmt.Sprintf(entry, "two"))
	h.wait(t, "mappings loaded")
	if _, body := h.review(t, token); !strings.Contains(body, `"groups":["two"]`) {
		t.Errorf("%s", body)
	}
	write("-userarn: x\n  username: y\n")
	if l := h.wait(t, "mappings kept out"); !strings.Contains(fmt.Sprint(l["reason"]), "YAML") && !strings.Contains(fmt.Sprint(l["reason"]), "no IAM mappings") {
		t.Errorf("%v", l)
	}
	if _, body := h.review(t, token); !strings.Contains(body, `"groups":["two"]`) {
		t.Errorf("%s", body)
	}
	if status := h.end(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestAuthenticatorServeConfigFile(t *testing.T) {
	_, getenv := startAWS(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	text := `
clusterID: demo
server:
  stateDir: ` + dir + `
  address: 127.0.0.1
  backendMode: [MountedFile, DynamicFile]
  dynamicfilepath: ` + filepath.Join(dir, "dynamic.json") + `
  mapUsers:
  - userARN: ` + awsfake.UserARN + `
    username: alice
    groups: [admins]
  scrubbedAccounts: ["` + awsfake.Account + `"]
`
	for name, data := range map[string]string{config: text, filepath.Join(dir, "dynamic.json"): `{"mapRoles": [], "mapUsers": []}`} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := startWebhook(t, getenv, dir, "-c", config)
	if _, body := h.review(t, signToken(t, awsfake.UserKey, awsfake.UserSecret, "demo", time.Now())); !strings.Contains(body, `"uid":"aws-iam-authenticator:administrative:alice"`) {
		t.Errorf("%s", body)
	}
	if status := h.end(); status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestAuthenticatorServeLimits: what is over a limit is answered with 429 and
// Retry-After, which makes an API server try again, and a token that is known is
// not concerned.
func TestAuthenticatorServeLimits(t *testing.T) {
	_, getenv := startAWS(t)
	dir := t.TempDir()
	mapping := filepath.Join(dir, "aws-auth.yaml")
	if err := os.WriteFile(mapping, []byte("- userarn: "+awsfake.UserARN+"\n  username: alice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--sts-qps", "--sts-qps-per-principal"} {
		h := startWebhook(t, getenv, dir, "--cluster-id", "demo", "--mapping", mapping, "--state-dir", dir, flag, "1")
		known := signToken(t, awsfake.UserKey, awsfake.UserSecret, "demo", time.Now())
		if code, body := h.review(t, known); code != 200 || !strings.Contains(body, `"username":"alice"`) {
			t.Fatalf("%d %s", code, body)
		}
		codes := map[int]int{}
		for i := range 6 {
			code, body := h.review(t, signToken(t, awsfake.UserKey, awsfake.UserSecret, "demo", time.Now().Add(-time.Duration(i+1)*time.Second)))
			if codes[code]++; code == 429 && strings.Contains(body, "alice") {
				t.Errorf("%s", body)
			}
		}
		if codes[429] < 3 || codes[200]+codes[429] != 6 {
			t.Errorf("%s 1: %v", flag, codes)
		}
		if code, _ := h.review(t, known); code != 200 {
			t.Errorf("%s 1: a token that is known: %d", flag, code)
		}
		if status := h.end(); status != 0 {
			t.Errorf("status %d", status)
		}
	}
}

func TestAuthenticatorServeRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{
		"good.yaml": "- userarn: " + awsfake.UserARN + "\n  username: alice\n", "broken.yaml": "- rolearn: x\n -username: y\n",
		"config.yaml": "clusterID: c\nserver:\n  backendMode: [Files]\n", "top.yaml": "clusterID: c\nserver: 3\n",
		"dynamic.yaml": "clusterID: c\nserver:\n  backendMode: DynamicFile\n", "master.yaml": "clusterID: c\nserver:\n  master: x\n",
		"port.yaml": "clusterID: c\nserver:\n  port: none\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	ok := []string{"--cluster-id", "demo", "--mapping", "good.yaml", "--state-dir", dir}
	tests := []struct {
		args []string
		want string
	}{
		{nil, "no cluster id: name the cluster that tokens are made for with --cluster-id, or clusterID in the config file"},
		{[]string{"--cluster-id", "demo"}, "no mappings given: name a source with --mapping, such as a file with the aws-auth ConfigMap"},
		{[]string{"--cluster-id", "demo", "--mapping", "none.yaml"}, "--mapping none.yaml: "},
		{[]string{"--cluster-id", "demo", "--mapping", "broken.yaml"}, "broken.yaml:2: the list: the list is not valid YAML, so none of its entries counts: a dash without a space after it, so the line is no list entry"},
		{[]string{"--cluster-id", "demo", "--mapping", "-"}, "--mapping -: a server can not watch stdin; name a file"},
		{[]string{"--cluster-id", "demo", "--mapping", "ftp://x"}, "ftp://x: a source is a file, configmap://NAMESPACE/NAME, crd:// or eks://CLUSTER"},
		{[]string{"--cluster-id", "demo", "--mapping", "configmap://x"}, "configmap://x: write configmap://NAMESPACE/NAME, such as configmap://kube-system/aws-auth"},
		{append(ok, "--partition", "aws-x"), `there is no AWS partition "aws-x"`},
		{append(ok, "--region", "cn-north-1"), `region "cn-north-1" is not in partition aws`},
		{append(ok, "--cache-size", "-5"), "--cache-size can not be negative; 0 is for no cache"},
		{append(ok, "--sts-qps", "-1"), "a limit can not be negative, and --max-connections not 0"},
		{append(ok, "--sts-in-flight", "-1"), "a limit can not be negative, and --max-connections not 0"},
		{append(ok, "--max-connections", "0"), "a limit can not be negative, and --max-connections not 0"},
		{append(ok, "--tls-cert", "x"), "--tls-cert and --tls-key belong together"},
		{append(ok, "--tls-cert", "x", "--tls-key", "y"), "certificate x with key y: open x: "},
		{append(ok, "--address", "a:b:c"), `--address "a:b:c": give HOST:PORT such as 127.0.0.1:21362`},
		{append(ok, "--log-format", "xml"), `--log-format "xml": use json or text`},
		{append(ok, "--log-level", "loud"), `--log-level "loud": use debug, info, warn or error`},
		{append(ok, "--cache-ttl", "0s"), "--cache-ttl and --sts-timeout must be more than nothing"},
		{append(ok, "--master", "x"), "--master is not a flag of this server: put the address into a kubeconfig and name it with --kubeconfig"},
		{append(ok, "--feature-gates", "SSORoleMatch=true"), "--feature-gates is not a flag of this server: drop it"},
		{append(ok, "--backend-mode", "Magic"), `--backend-mode: "Magic" is none of MountedFile, EKSConfigMap, CRD, DynamicFile`},
		{append(ok, "--backend-mode", "MountedFile"), "--backend-mode MountedFile and DynamicFile need --config"},
		{[]string{"-c", "config.yaml"}, `config.yaml: server.backendMode: "Files" is none of`},
		{[]string{"-c", "top.yaml"}, "top.yaml: server holds no settings"},
		{[]string{"-c", "dynamic.yaml"}, "dynamic.yaml: back end DynamicFile needs server.dynamicfilepath"},
		{[]string{"-c", "master.yaml"}, "master.yaml: server.master: put the address into a kubeconfig"},
		{[]string{"-c", "port.yaml"}, `port.yaml: server.port "none" is no number that fits`},
	}
	for _, tt := range tests {
		var stderr bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		args := append([]string{"kubecred", "authenticator", "serve"}, tt.args...)
		if !strings.Contains(strings.Join(tt.args, " "), "--address") {
			args = append(args, "--address", "127.0.0.1:0")
		}
		status := cli.Run(ctx, args, cli.World{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: &stderr, Getenv: func(string) string { return "" }, Now: time.Now})
		cancel()
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		if last := lines[len(lines)-1]; status != 2 || !strings.HasPrefix(last, "kubecred: "+tt.want) {
			t.Errorf("%v: status %d\n%s\nwant %s", tt.args, status, stderr.String(), tt.want)
		}
	}
}

func TestAuthenticatorInit(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) (int, string) {
		var out bytes.Buffer
		status := cli.Run(t.Context(), append([]string{"kubecred", "authenticator", "init", "--dir", dir}, args...), cli.World{
			Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }, Now: time.Now,
		})
		return status, out.String()
	}
	if status, out := run(); status != 2 || !strings.Contains(out, "no cluster id") {
		t.Errorf("%d %s", status, out)
	}
	args := []string{"--cluster-id", "prod", "--image", "registry.example.com/kubecred:1"}
	if status, out := run(args...); status != 0 || !strings.Contains(out, "next    copy cert.pem") {
		t.Fatalf("%d %s", status, out)
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil || cert.Leaf.VerifyHostname("localhost") != nil || cert.Leaf.VerifyHostname("127.0.0.1") != nil {
		t.Errorf("the certificate: %v", err)
	}
	for name, want := range map[string]string{
		"kubeconfig.yaml": "server: https://127.0.0.1:21362/authenticate", "daemonset.yaml": `- "--cluster-id=prod"`,
		"static-pod.yaml": "image: registry.example.com/kubecred:1", "rbac.yaml": "iamidentitymappings",
	} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s lacks %s: %v", name, want, err)
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if status, out := run(args...); status != 0 || !strings.Contains(out, "kept ") {
		t.Errorf("a second time: %d %s", status, out)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "cert.pem")); err != nil || !bytes.Equal(before, after) {
		t.Error("the certificate was made anew")
	}
	if status, out := run("--cluster-id", "other"); status != 2 || !strings.Contains(out, "daemonset.yaml, static-pod.yaml in") {
		t.Errorf("over changed files: %d %s", status, out)
	}
	if status, out := run("--cluster-id", "other", "--force"); status != 0 {
		t.Errorf("with --force: %d %s", status, out)
	}
}
