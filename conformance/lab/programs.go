//go:build unix

package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// source says how a program is built: by the go command, in a module below
// conformance/ that pins it and everything it is made of. The modules are apart
// from each other and from the tests' own, so that each program is what its
// makers released.
type source struct {
	module string // directory below conformance/
	pkg    string // package to build
	of     string // module whose version is the program's
	flags  string // -ldflags
	own    bool   // the package's files are part of this repository
}

const kubernetes1 = "-s -w -X k8s.io/component-base/version.gitVersion=%[1]s -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=%[2]s"

var sources = map[string]source{
	"etcd":                    {module: "kubernetes", pkg: "go.etcd.io/etcd/server/v3", of: "go.etcd.io/etcd/server/v3", flags: kubernetes1},
	"kube-apiserver":          {module: "kubernetes", pkg: "k8s.io/kubernetes/cmd/kube-apiserver", of: "k8s.io/kubernetes", flags: kubernetes1},
	"kube-controller-manager": {module: "kubernetes", pkg: "k8s.io/kubernetes/cmd/kube-controller-manager", of: "k8s.io/kubernetes", flags: kubernetes1},
	"kubectl":                 {module: "kubernetes", pkg: "k8s.io/kubernetes/cmd/kubectl", of: "k8s.io/kubernetes", flags: kubernetes1},
	"kubelet":                 {module: "kubernetes", pkg: "k8s.io/kubernetes/cmd/kubelet", of: "k8s.io/kubernetes", flags: kubernetes1},
	"oracle":                  {module: "kubernetes", pkg: "./oracle", of: "k8s.io/kubernetes", flags: kubernetes1, own: true},
	"aws-iam-authenticator":   {module: "authenticator", pkg: "sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator", of: "sigs.k8s.io/aws-iam-authenticator", flags: "-s -w"},
	"loki":                    {module: "loki", pkg: "github.com/grafana/loki/v3/cmd/loki", of: "github.com/grafana/loki/v3", flags: "-s -w"},
	"alerts":                  {module: "prometheus", pkg: "./alerts", of: "github.com/prometheus/prometheus", flags: "-s -w", own: true},
	"hosts":                   {module: "containerd", pkg: "./hosts", of: "github.com/containerd/containerd/v2", flags: "-s -w", own: true},
	"ecr-credential-provider": {module: "peers/ecr-credential-provider", pkg: "k8s.io/cloud-provider-aws/cmd/ecr-credential-provider", of: "k8s.io/cloud-provider-aws", flags: "-s -w"},
}

// Programs returns the names that [Program] knows, sorted.
func Programs() []string {
	var names []string
	for name := range sources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Program returns the path of a program, built from its pinned module. Each is
// built once and kept in the user's cache folder, kubecred/lab/VERSION-HASH/NAME,
// where the hash covers everything that the outcome depends on. Two processes
// that want the same program build it once. A build that was cut short, or a
// file that was changed since, is noticed and built again. Log gets a line
// where a build is needed.
func Program(ctx context.Context, name string, log io.Writer) (string, error) {
	src, ok := sources[name]
	if !ok {
		return "", fmt.Errorf("lab: no program %q; there are %s", name, strings.Join(Programs(), ", "))
	}
	b, err := newBuild(ctx, name, src)
	if err != nil {
		return "", err
	}
	if b.whole() {
		return b.path, nil
	}
	return b.path, b.run(ctx, log)
}

// Program is [Program] with the lab's log, remembered.
func (l *Lab) Program(ctx context.Context, name string) (string, error) {
	return once(l, "program "+name, func() (string, error) { return Program(ctx, name, l.log) })
}

// once makes a thing once for the lab, however many tests ask at the same time.
// A failure is not remembered.
func once[T any](l *Lab, name string, make func() (T, error)) (T, error) {
	l.mu.Lock()
	m, ok := l.made[name]
	if !ok {
		m = &made{}
		l.made[name] = m
	}
	l.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.value != nil {
		return m.value.(T), nil
	}
	v, err := make()
	if err == nil {
		m.value = v
	}
	return v, err
}

type made struct {
	mu    sync.Mutex
	value any
}

// build is one program on its way into the cache.
type build struct {
	name, version, dir, path, flags string
	src                             source
}

func newBuild(ctx context.Context, name string, src source) (*build, error) {
	b := &build{name: name, src: src}
	module := filepath.Join(sourceDir(), src.module)
	gomod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("lab: %w (the lab builds its programs from the source tree of kubecred)", err)
	}
	b.version = requiredVersion(gomod, src.of)
	if b.version == "" {
		return nil, fmt.Errorf("lab: %s/go.mod requires no %s", src.module, src.of)
	}
	b.flags = src.flags
	if strings.Contains(b.flags, "%[1]s") {
		k8s := requiredVersion(gomod, "k8s.io/kubernetes")
		b.flags = fmt.Sprintf(b.flags, k8s, strings.Split(k8s+"..", ".")[1])
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s/%s\n", b.flags, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	files := []string{filepath.Join(module, "go.mod"), filepath.Join(module, "go.sum")}
	if src.own {
		more, _ := filepath.Glob(filepath.Join(module, src.pkg, "*.go"))
		files = append(files, more...)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n%s", filepath.Base(file), len(data), data)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("lab: no cache folder for the programs: %w", err)
	}
	b.dir = filepath.Join(cache, "kubecred", "lab", b.version+"-"+hex.EncodeToString(h.Sum(nil))[:10])
	b.path = filepath.Join(b.dir, name)
	return b, ctx.Err()
}

// requiredVersion finds the version of a module in the text of a go.mod.
func requiredVersion(gomod []byte, module string) string {
	m := regexp.MustCompile(`(?m)^(?:require)?\s+` + regexp.QuoteMeta(module) + ` (v\S+)`).FindSubmatch(gomod)
	if m == nil {
		return ""
	}
	return string(m[1])
}

func kubernetesVersion() string {
	gomod, _ := os.ReadFile(filepath.Join(sourceDir(), "kubernetes", "go.mod"))
	return requiredVersion(gomod, "k8s.io/kubernetes")
}

// seal is what stands beside a program that was built to its end.
type seal struct {
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime"` // nanoseconds since 1970
	SHA256 string `json:"sha256"`
}

func (b *build) sealPath() string { return b.path + ".sealed" }

// whole tells whether the program is there as it was built.
func (b *build) whole() bool {
	var s seal
	data, err := os.ReadFile(b.sealPath())
	if err != nil || json.Unmarshal(data, &s) != nil {
		return false
	}
	info, err := os.Stat(b.path)
	if err != nil || info.Size() != s.Size {
		return false
	}
	if info.ModTime().UnixNano() == s.MTime {
		return true
	}
	sum, err := hashFile(b.path) // touched or changed?
	return err == nil && sum == s.SHA256
}

func (b *build) run(ctx context.Context, log io.Writer) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	unlock, err := lockFile(ctx, filepath.Join(b.dir, "."+b.name+".lock"), func() {
		fmt.Fprintf(log, "lab: waiting for another process that builds %s\n", b.name)
	})
	if err != nil {
		return err
	}
	defer unlock()
	if b.whole() {
		return nil
	}
	if _, err := os.Stat(b.path); err == nil {
		fmt.Fprintf(log, "lab: %s is not what was built there, building it again\n", b.path)
	}
	// What is here under the lock was left by a build that was killed.
	_ = os.Remove(b.sealPath())
	stale, _ := filepath.Glob(filepath.Join(b.dir, "."+b.name+".part*"))
	for _, name := range stale {
		_ = os.Remove(name)
	}
	if free, ok := freeSpace(b.dir); ok && free < 512<<20 {
		return fmt.Errorf("lab: %s has %d MB free, and building %s needs 512: free some, or point XDG_CACHE_HOME elsewhere", b.dir, free>>20, b.name)
	}
	fmt.Fprintf(log, "lab: building %s %s, once; from an empty build cache this takes minutes\n", b.name, b.version)
	began := time.Now()
	stop := every(30*time.Second, func() {
		fmt.Fprintf(log, "lab: still building %s, %d s\n", b.name, int(time.Since(began).Seconds()))
	})
	defer stop()
	part := filepath.Join(b.dir, fmt.Sprintf(".%s.part%d", b.name, os.Getpid()))
	defer os.Remove(part)
	if err := goBuild(ctx, filepath.Join(sourceDir(), b.src.module), part, b.flags, b.src.pkg); err != nil {
		return fmt.Errorf("lab: building %s: %w", b.name, err)
	}
	if err := b.keep(part); err != nil {
		return fmt.Errorf("lab: keeping %s: %w", b.name, err)
	}
	fmt.Fprintf(log, "lab: built %s in %d s\n", b.name, int(time.Since(began).Seconds()))
	return nil
}

// keep moves a finished program to its place and seals it.
func (b *build) keep(part string) error {
	sum, err := hashFile(part)
	if err != nil {
		return err
	}
	info, err := os.Stat(part)
	if err != nil {
		return err
	}
	data, err := json.Marshal(seal{Size: info.Size(), MTime: info.ModTime().UnixNano(), SHA256: sum})
	if err != nil {
		return err
	}
	if err := os.Rename(part, b.path); err != nil {
		return err
	}
	tmp := b.sealPath() + ".part"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, b.sealPath())
}

// goBuild runs the go command; its own words are the error.
func goBuild(ctx context.Context, dir, out, ldflags string, pkgs ...string) error {
	args := append([]string{"build", "-mod=readonly", "-buildvcs=false", "-ldflags", ldflags, "-o", out}, pkgs...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOOS=", "GOARCH=")
	// The compilers that the go command runs must not outlive a Ctrl-C.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	text, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("the go command is not in PATH: the lab builds its programs with it")
	case strings.Contains(string(text), "no space left on device"):
		return errors.New("the disk is full (no space left on device): free some gigabytes, or point GOCACHE and GOTMPDIR elsewhere")
	}
	return fmt.Errorf("go build: %w\n%s", err, strings.TrimSpace(string(text)))
}

// sourceDir is the conformance directory of the source tree.
func sourceDir() string {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		return filepath.Dir(filepath.Dir(file))
	}
	wd, _ := os.Getwd() // built with -trimpath
	for dir := wd; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if filepath.Base(dir) == "conformance" {
			return dir
		}
		if _, err := os.Stat(filepath.Join(dir, "conformance", "go.mod")); err == nil {
			return filepath.Join(dir, "conformance")
		}
	}
	return "conformance"
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// lockFile takes an exclusive lock, calling busy once where it has to wait.
func lockFile(ctx context.Context, name string, busy func()) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	for waited := false; ; waited = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lab: locking %s: %w", name, err)
		}
		if !waited {
			busy()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lab: waiting for %s: %w", name, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// every calls f at an interval until the returned function is called.
func every(d time.Duration, f func()) (stop func()) {
	t := time.NewTicker(d)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-t.C:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() { t.Stop(); close(done) }
}

// freeSpace returns the bytes that are free for us on the directory's disk.
func freeSpace(dir string) (uint64, bool) {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return 0, false
	}
	return uint64(st.Bavail) * uint64(st.Bsize), true
}
