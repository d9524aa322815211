//go:build unix

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests run the real program, built as a release is, and issuers that
// misbehave: the test binary under the name "issuer".

var program string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "issuer" {
		os.Exit(issuer(os.Args[1:]))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kubecred-exec")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "kubecred-exec")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
		return 1
	}
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "issuer"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// secret marks what must never be seen but in an answer.
const secret = "S3CRETxyz"

// issuer is the fake. Its arguments are name=value: what it does.
func issuer(args []string) int {
	o := map[string]string{"life": "15m", "token": secret}
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		o[name] = value
	}
	if log := o["log"]; log != "" {
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return 99
		}
		fmt.Fprintln(f, os.Getenv("KUBERNETES_EXEC_INFO"))
		_ = f.Close()
	}
	if d, err := time.ParseDuration(o["sleep"]); err == nil {
		time.Sleep(d)
	}
	if o["stderr"] != "" {
		fmt.Fprintln(os.Stderr, o["stderr"])
	}
	if o["provider"] != "" {
		return provider(o)
	}
	var info struct{ APIVersion string }
	_ = json.Unmarshal([]byte(os.Getenv("KUBERNETES_EXEC_INFO")), &info)
	version := "client.authentication.k8s.io/" + o["speaks"]
	if o["speaks"] == "" {
		version = info.APIVersion
	}
	if o["only"] != "" && info.APIVersion != "client.authentication.k8s.io/"+o["only"] {
		fmt.Fprintf(os.Stderr, "unsupported apiVersion %q\n", info.APIVersion)
		return 1
	}
	life, _ := time.ParseDuration(o["life"])
	doc := func(token string) string {
		expires := ""
		if life != 0 {
			expires = `,"expirationTimestamp":"` + time.Now().Add(life).UTC().Format(time.RFC3339) + `"`
		}
		return `{"kind":"ExecCredential","apiVersion":"` + version + `","status":{"token":"` + token + `"` + expires + "}}\n"
	}
	token := o["token"] + "-" + strconv.Itoa(os.Getpid()) + o["suffix"]
	if o["profile"] != "" {
		token += "-" + os.Getenv("AWS_PROFILE")
	}
	switch o["mode"] {
	case "":
		fmt.Print(doc(token))
	case "nothing":
	case "two":
		fmt.Print(doc(token), doc(token))
	case "noise":
		fmt.Print("Updating the tool...\n", doc(token))
	case "text":
		fmt.Printf("EXECCREDENTIAL\t%s\t%s\n", version, token)
	case "case":
		fmt.Print(strings.Replace(doc(token), "expirationTimestamp", "expirationTimeStamp", 1))
	case "huge":
		fmt.Print(strings.Repeat(token, 10<<20/len(token)))
		time.Sleep(time.Minute)
	case "hang":
		time.Sleep(time.Hour)
	case "fork": // a child that holds stdout
		child := exec.Command("sleep", "3600")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return 98
		}
		if o["pidfile"] != "" {
			_ = os.WriteFile(o["pidfile"], []byte(strconv.Itoa(child.Process.Pid)), 0o600)
		}
		fmt.Print(doc(token))
	case "stdin":
		line := make([]byte, 100)
		n, _ := os.Stdin.Read(line)
		fmt.Print(doc(strings.TrimSpace(string(line[:n])) + "-read"))
	case "status":
		n, _ := strconv.Atoi(o["status"])
		return n
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return 0
}

// provider is the fake of the kubelet's protocol.
func provider(o map[string]string) int {
	var request struct{ APIVersion, Image, ServiceAccountToken string }
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		return 97
	}
	if file := o["failures"]; file != "" { // that many runs fail
		n, _ := os.ReadFile(file)
		if len(n) > 0 {
			_ = os.WriteFile(file, n[1:], 0o600)
			fmt.Fprintln(os.Stderr, "no luck, my password is "+secret[:2]+"...")
			return 1
		}
	}
	version := request.APIVersion
	if o["speaks"] != "" {
		version = "credentialprovider.kubelet.k8s.io/" + o["speaks"]
	}
	registry, _, _ := strings.Cut(request.Image, "/")
	if o["duration"] == "" {
		o["duration"] = "6h0m0s"
	}
	if o["mode"] == "fork" { // a child that holds stdout
		child := exec.Command("sleep", "3600")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return 98
		}
		_ = os.WriteFile(o["pidfile"], []byte(strconv.Itoa(child.Process.Pid)), 0o600)
	}
	auth := `{"` + registry + `":{"username":"AWS","password":"` + secret + "-" + strconv.Itoa(os.Getpid()) + `"}}`
	if o["mode"] == "none" {
		auth = "null"
	}
	fmt.Printf(`{"kind":"CredentialProviderResponse","apiVersion":"%s","cacheKeyType":"%s","cacheDuration":"%s","auth":%s}`, version, o["provider"], o["duration"], auth)
	return 0
}

// world is a home of its own for one test.
type world struct {
	t    *testing.T
	home string
	log  string
	env  []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	home := t.TempDir()
	return &world{t: t, home: home, log: filepath.Join(t.TempDir(), "runs"), env: []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true",
		"GORACE=atexit_sleep_ms=0", // the fake issuer is this binary, and under the race detector it would sleep 1 s at exit
	}}
}

func (w *world) cache() string { return filepath.Join(w.home, ".cache", "kubecred", "exec") }

// runs is how often the issuer was run, with the request of each.
func (w *world) runs() []string {
	data, err := os.ReadFile(w.log)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

type result struct {
	stdout, stderr string
	status         int
}

const (
	infoV1      = `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false}}`
	infoV1Beta1 = `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{"interactive":false}}`
	infoV1Alpha = `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1alpha1","spec":{}}`
)

// ask runs the program below a parent of its own, as each kubectl is one; the
// issuer logs its runs.
func (w *world) ask(info string, issuerArgs ...string) result {
	w.t.Helper()
	return w.command(true, info, issuerArgs...).run(w.t)
}

// again runs it as a child of this very process.
func (w *world) again(info string, issuerArgs ...string) result {
	w.t.Helper()
	return w.command(false, info, issuerArgs...).run(w.t)
}

type command struct{ *exec.Cmd }

func (w *world) command(ownParent bool, info string, issuerArgs ...string) command {
	args := append([]string{program, "client", "--", "issuer", "log=" + w.log}, issuerArgs...)
	return w.raw(ownParent, info, args...)
}

func (w *world) raw(ownParent bool, info string, args ...string) command {
	if ownParent {
		// The last command would replace the shell.
		args = append([]string{"sh", "-c", `"$@"; exit $?`, "sh"}, args...)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	w.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append([]string{}, w.env...)
	if info != "" {
		cmd.Env = append(cmd.Env, "KUBERNETES_EXEC_INFO="+info)
	}
	cmd.WaitDelay = 5 * time.Second
	return command{cmd}
}

func (c command) run(t *testing.T) result {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", c.Args, err)
	}
	if strings.Contains(errs.String(), secret) {
		t.Errorf("the secret is on stderr: %s", errs.String())
	}
	return result{out.String(), errs.String(), c.ProcessState.ExitCode()}
}

// token is the token in an answer of the version.
func token(t *testing.T, r result, version string) string {
	t.Helper()
	var doc struct {
		Kind, APIVersion string
		Status           struct{ Token, ExpirationTimestamp string }
	}
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || r.status != 0 {
		t.Fatalf("status %d, stdout %q, stderr %q: %v", r.status, r.stdout, r.stderr, err)
	}
	if doc.Kind != "ExecCredential" || doc.APIVersion != "client.authentication.k8s.io/"+version || doc.Status.Token == "" {
		t.Fatalf("%s", r.stdout)
	}
	return doc.Status.Token
}

func (w *world) wantRuns(n int) {
	w.t.Helper()
	if got := len(w.runs()); got != n {
		w.t.Errorf("the issuer ran %d times, want %d", got, n)
	}
}
