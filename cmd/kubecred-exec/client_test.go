//go:build unix

package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestOneRunForAllVersions(t *testing.T) {
	w := newWorld(t)
	first := token(t, w.ask(infoV1), "v1")
	for version, info := range map[string]string{"v1": infoV1, "v1beta1": infoV1Beta1, "v1alpha1": infoV1Alpha} {
		if got := token(t, w.ask(info), version); got != first {
			t.Errorf("%s: %s, want %s", version, got, first)
		}
	}
	if got := token(t, w.ask(""), "v1beta1"); got != first { // a client before 1.20
		t.Error(got)
	}
	w.wantRuns(1)
	if !strings.Contains(w.runs()[0], `"apiVersion":"client.authentication.k8s.io/v1"`) {
		t.Error(w.runs()[0])
	}
	for _, name := range []string{"", "*"} {
		files, _ := filepath.Glob(filepath.Join(w.cache(), name))
		for _, f := range files {
			info, err := os.Stat(f)
			if err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has the mode %v, %v", f, info.Mode(), err)
			}
		}
	}
}

func TestIssuerOfAnotherVersion(t *testing.T) {
	w := newWorld(t)
	for info, version := range map[string]string{infoV1: "v1", infoV1Beta1: "v1beta1"} {
		token(t, w.ask(info, "speaks=v1alpha1"), version)
	}
	w.wantRuns(1)

	w = newWorld(t)
	r := w.again(infoV1, "only=v1alpha1")
	token(t, r, "v1")
	w.wantRuns(3)
	if want := "kubecred-exec: issuer seems not to speak v1, so it is asked in v1beta1\n"; !strings.Contains(r.stderr, want) {
		t.Errorf("%q", r.stderr)
	}
	// Known from now on: that the same process asks again means that the
	// credential was refused, and the next one is asked for in v1alpha1 at once.
	token(t, w.again(infoV1, "only=v1alpha1"), "v1")
	w.wantRuns(4)
}

func TestRequestIsPassedOn(t *testing.T) {
	w := newWorld(t)
	info := `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"cluster":{"server":"https://a","config":{"x":1}},"interactive":true}}`
	token(t, w.ask(info), "v1")
	if want := `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":true,"cluster":{"server":"https://a","config":{"x":1}}}}`; w.runs()[0] != want {
		t.Errorf("%s", w.runs()[0])
	}
	token(t, w.ask(strings.Replace(info, "https://a", "https://b", 1)), "v1")
	w.wantRuns(2)
}

func TestRefusal(t *testing.T) {
	w := newWorld(t)
	first := token(t, w.ask(infoV1), "v1")
	if got := token(t, w.again(infoV1), "v1"); got != first {
		t.Fatal("another process had to pay for the first one's question")
	}
	second := token(t, w.again(infoV1), "v1")
	if second == first {
		t.Fatal("the refused token was given again")
	}
	if got := token(t, w.ask(infoV1), "v1"); got != second {
		t.Error("others do not get the new token")
	}
	// A loop in a shell does not void the cache for all.
	for range 5 {
		if got := token(t, w.again(infoV1), "v1"); got != second {
			t.Error("renewed again at once")
		}
	}
	w.wantRuns(2)

	w = newWorld(t)
	w.env = append(w.env, "KUBECRED_REFUSALS=off")
	for range 3 {
		token(t, w.again(infoV1), "v1")
	}
	w.wantRuns(1)
}

func TestHundredAtOnce(t *testing.T) {
	for _, sleep := range []string{"30ms", "1s"} {
		t.Run(sleep, func(t *testing.T) {
			w := newWorld(t)
			began := time.Now()
			tokens := make([]string, 100)
			var wg sync.WaitGroup
			for i := range tokens {
				wg.Go(func() {
					tokens[i] = token(t, w.again(infoV1, "sleep="+sleep), "v1")
				})
			}
			wg.Wait()
			for _, got := range tokens {
				if got != tokens[0] {
					t.Fatalf("%s and %s", got, tokens[0])
				}
			}
			w.wantRuns(1)
			t.Logf("100 processes took %s", time.Since(began).Round(time.Millisecond))
		})
	}
}

func TestMisbehavingIssuers(t *testing.T) {
	const hangs = "gave no answer within 300ms and was ended; KUBECRED_TIMEOUT sets another bound"
	for _, tt := range []struct {
		args   []string
		want   string
		status int
	}{
		{[]string{"mode=nothing"}, "printed no ExecCredential: empty, want a JSON object", 2},
		{[]string{"mode=two"}, "printed no ExecCredential: a second document after the first, want one", 2},
		{[]string{"mode=noise"}, "printed no ExecCredential: not a JSON object: it begins with 'U'", 2},
		{[]string{"mode=text"}, "printed no ExecCredential: not a JSON object: it begins with 'E'", 2},
		{[]string{"mode=case"}, "printed no ExecCredential: status.expirationTimeStamp: unknown field, it is spelled expirationTimestamp", 2},
		{[]string{"mode=huge"}, "printed more than 1024 KiB, which is no credential", 2},
		{[]string{"mode=hang"}, hangs, 2},
		{[]string{"mode=status", "status=3"}, "failed with exit status 3", 3},
		{[]string{"mode=kill"}, "was ended: signal: killed", 2},
		{[]string{"token=a\\n"}, "printed no ExecCredential: status.token: holds a control character, which no HTTP header may", 2},
		{[]string{"speaks=v2"}, `printed no ExecCredential: apiVersion: is "client.authentication.k8s.io/v2", want client.authentication.k8s.io/v1, v1beta1 or v1alpha1`, 2},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			w := newWorld(t)
			if tt.want == hangs {
				w.env = append(w.env, "KUBECRED_TIMEOUT=300ms")
			}
			began := time.Now()
			r := w.ask(infoV1, append(tt.args, "stderr=a word of the issuer")...)
			if r.stdout != "" || r.status != tt.status || !strings.HasSuffix(r.stderr, "kubecred-exec: issuer "+tt.want+"\n") {
				t.Errorf("status %d, stdout %q, stderr %q", r.status, r.stdout, r.stderr)
			}
			if !strings.HasPrefix(r.stderr, "a word of the issuer\n") {
				t.Errorf("the issuer's stderr is lost: %q", r.stderr)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestChildThatHoldsStdout(t *testing.T) {
	w := newWorld(t)
	pidFile := filepath.Join(w.home, "pid")
	began := time.Now()
	token(t, w.ask(infoV1, "mode=fork", "pidfile="+pidFile), "v1")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err == nil && pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGKILL) // the test's own child's child
	}
}

func TestFailureIsShared(t *testing.T) {
	w := newWorld(t)
	for i := range 5 { // as a client does that tries again
		r := w.again(infoV1, "mode=status", "status=7", "stderr=you are not logged in")
		if r.status != 7 || !strings.HasPrefix(r.stderr, "you are not logged in\nkubecred-exec: issuer failed with exit status 7") {
			t.Errorf("%d: %+v", i, r)
		}
	}
	w.wantRuns(1)
	// A person who may log in does not have to pay for a run that could not ask.
	r := w.ask(strings.Replace(infoV1, "false", "true", 1), "mode=status", "status=7")
	if r.status != 7 {
		t.Errorf("%+v", r)
	}
}

func TestStdin(t *testing.T) {
	w := newWorld(t)
	ask := func(info string) string {
		cmd := w.command(true, info, "mode=stdin")
		cmd.Stdin = strings.NewReader("typed\n")
		return token(t, cmd.run(t), "v1")
	}
	if got := ask(infoV1); got != "-read" {
		t.Errorf("stdin is connected: %q", got)
	}
	w = newWorld(t)
	if got := ask(strings.Replace(infoV1, "false", "true", 1)); got != "typed-read" {
		t.Errorf("stdin is not connected: %q", got)
	}
}

func TestProfileChange(t *testing.T) {
	w := newWorld(t)
	ask := func(profile string) string {
		w2 := *w
		w2.env = append(append([]string{}, w.env...), "AWS_PROFILE="+profile)
		return token(t, w2.ask(infoV1, "profile=1"), "v1")
	}
	a, b := ask("a"), ask("b")
	if !strings.HasSuffix(a, "-a") || !strings.HasSuffix(b, "-b") {
		t.Fatal(a, b)
	}
	if ask("a") != a || ask("b") != b {
		t.Error("not cached")
	}
	w.wantRuns(2)
	// The contents of the config files count as well.
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(w.home, ".aws", "config"), "[profile a]\nsso_session = corp\n")
	ask("a")
	w.wantRuns(3)
	// sha1 of "corp"
	write(filepath.Join(w.home, ".aws", "sso", "cache", "ee0bfd2552fbd840c02cc48b6e823320543c450f.json"), "{}")
	ask("a")
	ask("a")
	w.wantRuns(4)
	runs := len(w.runs())
	write(filepath.Join(w.home, ".config", "gcloud", "active_config"), "other")
	ask("a")
	if len(w.runs()) != runs+1 {
		t.Errorf("gcloud's active configuration does not count")
	}
	// What differs from shell to shell does not.
	w.env = append(w.env, "SHLVL=7", "TERM=dumb", "SSH_TTY=/dev/pts/9", "PWD=/elsewhere")
	ask("a")
	if len(w.runs()) != runs+1 {
		t.Errorf("another shell counts")
	}
}

func TestNotFound(t *testing.T) {
	w := newWorld(t)
	w.env = []string{"HOME=" + w.home, "PATH=/nonexistent/one:relative:/nonexistent/two"}
	r := w.raw(false, infoV1, program, "client", "--", "gke-gcloud-auth-plugin").run(t)
	want := "kubecred-exec: gke-gcloud-auth-plugin is not to be found: looked in " + filepath.Dir(program) +
		", /nonexistent/one, /nonexistent/two. Install it with: gcloud components install gke-gcloud-auth-plugin\n"
	if r.status != 2 || r.stderr != want {
		t.Errorf("%+v\nwant %s", r, want)
	}
	r = w.raw(false, infoV1, program, "client", "--", "/nonexistent/plugin", "x").run(t)
	if want := "kubecred-exec: /nonexistent/plugin is not to be found: looked in /nonexistent/plugin (no such file)\n"; r.status != 2 || r.stderr != want {
		t.Errorf("%+v", r)
	}
}

func TestCommandLine(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "want client or image, then -- ISSUER ARGS... (kubecred-exec --help says more)"},
		{[]string{"clint"}, `"clint" is none of client, image, version, help`},
		{[]string{"client"}, "no issuer given: want client -- ISSUER ARGS..."},
		{[]string{"client", "--"}, "no issuer given: want client -- ISSUER ARGS..."},
		{[]string{"client", "--cache"}, "unknown flag --cache; the issuer and its arguments stand after -- (kubecred-exec --help says more)"},
		{[]string{"client", "--timeout"}, "--timeout wants a value"},
		{[]string{"client", "--timeout=soon", "--", "x"}, `--timeout: "soon" is no duration, want one such as 45s or 2m`},
		{[]string{"client", "--key-file", "a", "--", "x"}, `--key-file: "a" is no absolute path`},
	} {
		r := w.raw(false, infoV1, append([]string{program}, tt.args...)...).run(t)
		if r.status != 2 || r.stderr != "kubecred-exec: "+tt.want+"\n" || r.stdout != "" {
			t.Errorf("%v: %+v", tt.args, r)
		}
	}
	r := w.raw(false, `{"kind":"ExecCredential"}`, program, "client", "--", "issuer").run(t)
	if want := "kubecred-exec: KUBERNETES_EXEC_INFO: apiVersion: missing, want client.authentication.k8s.io/v1, v1beta1 or v1alpha1\n"; r.status != 2 || r.stderr != want {
		t.Errorf("%+v", r)
	}
	if r := w.raw(false, "", program, "--help").run(t); r.status != 0 || !strings.Contains(r.stdout, "kubecred-exec client [flags] -- ISSUER") {
		t.Errorf("%+v", r)
	}
	r = w.raw(false, infoV1, program, "client", "--no-cache", "--timeout=9s", "--", "issuer", "log="+w.log).run(t)
	token(t, r, "v1")
	if _, err := os.Stat(w.cache()); err == nil {
		t.Error("--no-cache made a cache")
	}
}

func TestSignal(t *testing.T) {
	w := newWorld(t)
	cmd := w.command(false, infoV1, "mode=hang", "stderr=started")
	cmd.Stderr = nil
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(said).ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("%q, %v", line, err)
	}
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 143 || time.Since(began) > 5*time.Second {
		t.Errorf("status %d after %s", status, time.Since(began))
	}
	// Nothing is left that others would wait for, and no failure to share.
	token(t, w.ask(infoV1), "v1")
}

// What the program links decides how long it takes to start, on every machine
// alike, so packages and bytes are counted and not seconds.
func TestStartupBudget(t *testing.T) {
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	const maxBytes, maxPackages = 2620 << 10, 114
	if info.Size() > maxBytes {
		t.Errorf("kubecred-exec has %d KiB, more than %d", info.Size()>>10, maxBytes>>10)
	}
	list := exec.Command("go", "list", "-deps", ".")
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if len(packages) > maxPackages {
		t.Errorf("kubecred-exec links %d packages, more than %d", len(packages), maxPackages)
	}
	for _, p := range packages {
		switch p {
		case "net", "net/url", "net/netip", "hash/crc32", "net/http", "crypto/tls", "crypto/x509", "regexp", "text/template", "log", "log/slog", "embed", "encoding/json":
			t.Errorf("kubecred-exec links %s", p)
		}
		first, _, _ := strings.Cut(p, "/")
		own := strings.HasPrefix(p, "github.com/kubecred/") || strings.HasPrefix(p, "github.com/gofrs/flock") || strings.HasPrefix(p, "golang.org/x/sys/")
		if strings.Contains(first, ".") && !own {
			t.Errorf("kubecred-exec links %s", p)
		}
	}
}
