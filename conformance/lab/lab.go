//go:build unix

// Package lab runs a real Kubernetes control plane, and on a Linux machine where
// it may also a real node, on free loopback ports of this machine. It exists so
// that what kubecred says about a credential can be held against what Kubernetes
// does with it.
//
//	l, err := lab.Start(ctx, lab.Options{})
//	defer l.Close()
//	pod, err := l.Pod(ctx, "kube-system", "kube2iam-x7k2p", "kube2iam")
//	token, err := l.AgedToken(ctx, pod, 89*24*time.Hour, lab.EKS)
//	// use token.JWT against l.URL, then read l.AuditLog
//
// [Start] gives etcd, kube-apiserver and kube-controller-manager. [Lab.Loki],
// [Lab.Registry] and [Lab.Node] add what a test needs beyond that. Each program
// is built once from the module proxy and kept in the user's cache folder (see
// [Program]). A lab keeps everything in a directory of its own; its processes
// end with the process that started it, however that one ends.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Options say what a lab is to be like. The zero value is good.
type Options struct {
	// Log gets one line per step; nil means none.
	Log io.Writer
	// Port is the API server's; 0 means a free one.
	Port int
	// TokenWebhook is a kubeconfig file for the API server's
	// --authentication-token-webhook-config-file, spoken to in version v1.
	TokenWebhook string
	// ServiceNet is three bytes of a loopback address, "127.77.7". Services get
	// addresses in that network, and the first of them, which pods take for the
	// API server's, leads there. It needs root, for port 443.
	ServiceNet string
	// APIServerArgs are added to the API server's command line, last.
	APIServerArgs []string
}

// Lab is a running control plane.
type Lab struct {
	// ID names the lab among those of this machine.
	ID string
	// Dir holds everything that the lab writes; Close removes it.
	Dir string
	// URL is the API server's address, and CAFile the certificate to trust.
	URL, CAFile string
	// Admin is a client with every right, AdminConfig what it was made of, and
	// AdminKubeconfig the same for kubectl.
	Admin           kubernetes.Interface
	AdminConfig     *rest.Config
	AdminKubeconfig string
	// StaticToken is a token that the API server knows as user StaticUser, who
	// may read everything.
	StaticToken, StaticUser string
	// AuditLog is the file to which the API server writes audit events at
	// level Metadata, one a line.
	AuditLog string

	opts     Options
	log      io.Writer
	guard    string
	ca       *authority
	signer   *signer
	etcdURL  string
	apiPort  int
	mu       sync.Mutex
	made     map[string]*made // see once
	running  []stopper
	keepLogs bool
	closed   bool
}

// stopper is anything that Close ends, in the reverse order of starting.
type stopper interface{ stop() error }

// Start starts a control plane and returns when it answers. It builds what is
// missing first, which takes minutes the first time on a machine. The context
// bounds the start, not the lab's life: end that with Close.
func Start(ctx context.Context, opts Options) (*Lab, error) {
	l := &Lab{opts: opts, log: opts.Log, made: map[string]*made{}}
	if l.log == nil {
		l.log = io.Discard
	}
	if err := l.start(ctx); err != nil {
		if ctx.Err() == nil {
			l.KeepLogs()
		}
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context) error {
	Sweep(l.log)
	if l.opts.Port != 0 {
		if err := checkPort(l.opts.Port); err != nil {
			return err
		}
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kubectl"} {
		if _, err := l.Program(ctx, name); err != nil {
			return err
		}
	}
	if err := l.makeDir(); err != nil {
		return err
	}
	if err := l.record(ctx); err != nil {
		return err
	}
	if err := l.buildGuard(ctx); err != nil {
		return err
	}
	began := time.Now()
	steps := []func(context.Context) error{
		l.makeCertificates, l.startEtcd, l.startAPIServer, l.startService, l.connect, l.startControllers, l.record,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(l.log, "lab: control plane %s is up at %s after %.1f s, files in %s\n", kubernetesVersion(), l.URL, time.Since(began).Seconds(), l.Dir)
	return nil
}

// minFree is the space that a lab's directory wants: etcd's preallocated log is
// the largest file in it.
const minFree = 300 << 20

func (l *Lab) makeDir() error {
	dir, err := os.MkdirTemp("", "kubecred-lab-")
	if err != nil {
		return fmt.Errorf("lab: no directory of its own: %w", err)
	}
	l.Dir = dir
	l.ID = filepath.Base(dir)[len("kubecred-lab-"):]
	if free, ok := freeSpace(dir); ok && free < minFree {
		return fmt.Errorf("lab: %s has %d MB free and the lab needs %d: free some, or point TMPDIR elsewhere", filepath.Dir(dir), free>>20, minFree>>20)
	}
	for _, sub := range []string{"bin", "logs", "home", "pki"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	return nil
}

// Path returns the path of a file in the lab's directory.
func (l *Lab) Path(elem ...string) string {
	return filepath.Join(append([]string{l.Dir}, elem...)...)
}

// KeepLogs makes Close leave the logs where they are and say where that is.
func (l *Lab) KeepLogs() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keepLogs = true
}

// Close stops everything that the lab started and removes its directory.
func (l *Lab) Close() error {
	l.mu.Lock()
	running, keep, closed := l.running, l.keepLogs, l.closed
	l.running, l.closed = nil, true
	l.mu.Unlock()
	if closed {
		return nil
	}
	var errs []error
	for i := len(running) - 1; i >= 0; i-- {
		errs = append(errs, running[i].stop())
	}
	if l.Dir == "" {
		return errors.Join(errs...)
	}
	errs = append(errs, l.removeDir(keep), forget(l.ID))
	return errors.Join(errs...)
}

// removeDir removes the lab's directory, but not its logs where they are to stay.
func (l *Lab) removeDir(keep bool) error {
	if logs, _ := os.ReadDir(l.Path("logs")); !keep || len(logs) == 0 {
		return os.RemoveAll(l.Dir)
	}
	fmt.Fprintf(l.log, "lab: logs are kept in %s\n", l.Path("logs"))
	entries, err := os.ReadDir(l.Dir)
	errs := []error{err}
	for _, e := range entries {
		if e.Name() != "logs" {
			errs = append(errs, os.RemoveAll(l.Path(e.Name())))
		}
	}
	return errors.Join(errs...)
}

// own has Close stop s before everything that was started earlier.
func (l *Lab) own(s stopper) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = append(l.running, s)
}

// disown takes s, which was stopped, off the list.
func (l *Lab) disown(s stopper) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range l.running {
		if r == s {
			l.running = append(l.running[:i], l.running[i+1:]...)
			return
		}
	}
}
