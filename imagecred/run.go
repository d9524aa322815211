package imagecred

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubecred/kubecred/credapi"
)

// PluginTimeout is how long a kubelet waits for a plugin (ExecPlugin in
// pkg/credentialprovider/plugin/plugin.go).
const PluginTimeout = time.Minute

// drainTime is how long after a plugin's end its output is still awaited. The
// kubelet waits for ever.
const drainTime = 2 * time.Second

// maxStderr bounds what is kept of a plugin's stderr.
const maxStderr = 16 << 10

// Run is one run of a plugin.
type Run struct {
	// Took is how long it ran.
	Took time.Duration
	// Stderr is what it said there, without what looks like a secret.
	Stderr string
	// Held says that a child of the plugin kept its stdout open after the plugin
	// had ended. A kubelet would have waited until that child ends too.
	Held bool
}

// runPlugin runs a plugin as the kubelet does, and ends what it started.
func (h *Host) runPlugin(ctx context.Context, p *Provider, request credapi.ProviderRequest) ([]byte, Run, error) {
	timeout := h.Timeout
	if timeout <= 0 {
		timeout = PluginTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(h.BinDir, p.Name), p.Args...)
	cmd.Env = append([]string(nil), h.Env...)
	for _, e := range p.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	out := limited{left: credapi.MaxDocument, full: errAnswerTooLarge}
	diagnosis := limited{left: maxStderr}
	cmd.Stdin = bytes.NewReader(request.Encode(p.APIVersion))
	cmd.Stdout, cmd.Stderr = &out, &diagnosis
	cmd.WaitDelay = drainTime
	endWithChildren(cmd)
	started := time.Now()
	err := cmd.Run()
	run := Run{Took: time.Since(started)}
	endChildren(cmd)
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		// The plugin itself was done, and its answer is there.
		run.Held, err = true, nil
	}
	secrets := []string{request.ServiceAccountToken}
	for _, e := range p.Env {
		secrets = append(secrets, e.Value)
	}
	run.Stderr = strings.TrimSpace(redacted(diagnosis.buf.String(), secrets...))
	switch {
	case ctx.Err() != nil:
		return nil, run, fmt.Errorf("error execing credential provider plugin %s for image %s: %w", p.Name, request.Image, ctx.Err())
	case out.over:
		return nil, run, errAnswerTooLarge
	case err != nil:
		return nil, run, fmt.Errorf("error execing credential provider plugin %s for image %s: %w", p.Name, request.Image, err)
	}
	return out.buf.Bytes(), run, nil
}

var errAnswerTooLarge = fmt.Errorf("the plugin wrote more than %d KiB; a kubelet would go on reading until its memory is gone", credapi.MaxDocument>>10)

// limited keeps the first bytes of what is written to it. full is the error for
// more, nil to drop the rest.
type limited struct {
	buf  bytes.Buffer
	left int
	full error
	over bool // there was more
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.buf.Write(p[:n])
	l.left -= n
	l.over = l.over || n < len(p)
	if n < len(p) && l.full != nil {
		return n, l.full
	}
	return len(p), nil
}
