// Package probe runs exec plugins as a client would, once in each version of the
// protocol, and says what they answer. Credentials are looked at and dropped: a
// Result holds none.
package probe

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/ekstoken"
)

// Versions are those that a plugin is asked for, newest first.
var Versions = []string{"v1", "v1beta1", "v1alpha1"}

// Plugin is a program to be asked.
type Plugin struct {
	// Path is the program, resolved.
	Path string
	Args []string
	// Env is the whole environment but for KUBERNETES_EXEC_INFO.
	Env []string
	// Cluster is what the client passes as spec.cluster; nil for none.
	Cluster json.RawMessage
}

// Outcome says how one run ended.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered" // with an ExecCredential, in whatever version
	Garbled  Outcome = "garbled"  // with something else on stdout
	Failed   Outcome = "failed"   // with an exit status
	TimedOut Outcome = "timed out"
	NotRun   Outcome = "not run"
)

// Result is one run.
type Result struct {
	// Asked is the version asked for: "v1".
	Asked   string
	Outcome Outcome
	// Version is that of the answer: "v1beta1".
	Version string
	// Status is the exit status where it failed.
	Status int
	// Reason says what is wrong, without a credential in it.
	Reason string
	// Stderr is the end of what the plugin said there. It is the plugin's own
	// text: mask it before it is shown.
	Stderr string
	Took   time.Duration
	// Expires is when the credential ends, zero where nothing says so; Announced
	// tells that the answer says it itself.
	Expires   time.Time
	Announced bool
}

// Speaks lists the versions that a plugin answered as asked.
func Speaks(results []Result) []string {
	var out []string
	for _, r := range results {
		if r.Outcome == Answered && r.Version == r.Asked {
			out = append(out, r.Asked)
		}
	}
	return out
}

// Bounds of what a plugin may print.
const (
	maxStdout = 1 << 20
	maxStderr = 4 << 10
	// drainWait is how long a child of an ended plugin may hold its output.
	drainWait = time.Second
)

// Ask runs the plugin in each version, one after the other, each for at most
// limit. After a run that timed out the others are left out. A plugin gets no
// stdin, is told that nobody is there, and is ended with all its children.
func Ask(ctx context.Context, p Plugin, limit time.Duration) []Result {
	var out []Result
	for _, v := range Versions {
		r := ask(ctx, p, v, limit)
		out = append(out, r)
		if r.Outcome == TimedOut || r.Outcome == NotRun || ctx.Err() != nil {
			break
		}
	}
	return out
}

func ask(ctx context.Context, p Plugin, version string, limit time.Duration) Result {
	r := Result{Asked: version}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(limited, p.Path, p.Args...)
	request := credapi.ExecRequest{APIVersion: credapi.ExecGroup + "/" + version, Cluster: p.Cluster}
	cmd.Env = append(slices.Clone(p.Env), credapi.ExecInfoEnv+"="+string(request.Encode()))
	stdout, stderr := &bounded{limit: maxStdout, stop: cancel}, &bounded{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = drainWait
	sweep := ownGroup(cmd)
	start := time.Now()
	err := cmd.Run()
	r.Took = time.Since(start)
	if cmd.Process != nil {
		sweep() // children that it left behind
	}
	r.Stderr = lastLines(stderr.data.String())
	var exit *exec.ExitError
	switch {
	case stdout.over:
		r.Outcome, r.Reason = Garbled, fmt.Sprintf("it printed more than %d KiB", maxStdout>>10)
	case limited.Err() != nil:
		r.Outcome, r.Reason = TimedOut, fmt.Sprintf("no answer within %s", limit)
	case errors.As(err, &exit):
		r.Outcome, r.Status = Failed, exit.ExitCode()
		r.Reason = fmt.Sprintf("exit status %d", r.Status)
		if r.Status < 0 {
			r.Reason = exit.String()
		}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		r.Outcome, r.Reason = NotRun, "it could not be started"
	default:
		r.judge(stdout.data.Bytes())
	}
	return r
}

// judge reads the answer as a client does.
func (r *Result) judge(stdout []byte) {
	if len(bytes.TrimSpace(stdout)) == 0 {
		r.Outcome, r.Reason = Garbled, "it printed nothing"
		return
	}
	c, err := credapi.ParseExecCredential(stdout)
	if err != nil {
		r.Outcome, r.Reason = Garbled, err.Error()
		return
	}
	r.Outcome, r.Version = Answered, strings.TrimPrefix(c.APIVersion, credapi.ExecGroup+"/")
	r.Expires, r.Announced = c.Expiration, !c.Expiration.IsZero()
	inside := tokenEnd(c.Token)
	if !inside.IsZero() && (r.Expires.IsZero() || inside.Before(r.Expires)) {
		r.Expires = inside
	}
}

// tokenEnd is the end that a token tells itself: an EKS token by its date, a JWT
// by its claim exp.
func tokenEnd(token string) time.Time {
	if signed, ok := ekstoken.SignedAt(token); ok {
		return signed.Add(ekstoken.AnnouncedLife)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0).UTC()
}

// lastLines keeps the last two lines that say something.
func lastLines(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-2):], "; ")
}

// bounded keeps what is written up to a limit. Past it, it stops the writer, or
// keeps the end where it has no stop.
type bounded struct {
	data  bytes.Buffer
	limit int
	over  bool
	stop  func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.data.Len()+len(p) > b.limit {
		if b.stop != nil {
			b.over = true
			b.stop()
			return 0, errors.New("too much output")
		}
		keep := append(b.data.Bytes(), p...)
		keep = slices.Clone(keep[max(0, len(keep)-b.limit):])
		b.data.Reset()
		b.data.Write(keep)
		return len(p), nil
	}
	return b.data.Write(p)
}
