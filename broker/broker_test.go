package broker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubecred/kubecred/credapi"
)

const infoV1 = `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false}}`

// bench is a broker with a clock of its own and cat for an issuer.
type bench struct {
	*Broker
	t       *testing.T
	answer  string
	now     time.Time
	notices []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("cat stands for an issuer")
	}
	b := &bench{t: t, answer: filepath.Join(t.TempDir(), "answer"), now: time.Now()}
	b.Broker = New(filepath.Join(t.TempDir(), "cache"), os.Environ())
	b.Now = func() time.Time { return b.now }
	b.Notice = func(s string) { b.notices = append(b.notices, s) }
	b.Stdin, b.Stderr = nil, nil
	b.parent = func() process { return process{pid: 7, start: uint64(b.now.UnixNano())} } // a new one each time
	return b
}

func (b *bench) gives(token string, life time.Duration) {
	b.t.Helper()
	c := credapi.ExecCredential{Token: token}
	if life != 0 {
		c.Expiration = b.now.Add(life)
	}
	if err := os.WriteFile(b.answer, c.Encode(credapi.ExecV1), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) fails() {
	b.t.Helper()
	if err := os.Remove(b.answer); err != nil {
		b.t.Fatal(err)
	}
}

// token asks, and returns the token and whether it came from the cache.
func (b *bench) token() (token string, cached bool, err error) {
	b.t.Helper()
	ask, err := b.Client(infoV1, "cat", []string{b.answer})
	if err != nil {
		b.t.Fatal(err)
	}
	out, cached := ask.Cached()
	if !cached {
		if out, err = ask.Issue(b.t.Context()); err != nil {
			return "", false, err
		}
	}
	c, err := credapi.ParseExecCredential(out)
	if err != nil {
		b.t.Fatal(err)
	}
	return c.Token, cached, nil
}

func (b *bench) wants(token string, cached bool) {
	b.t.Helper()
	got, fromCache, err := b.token()
	if err != nil || got != token || fromCache != cached {
		b.t.Errorf("got %q (cached %v), %v; want %q (cached %v)", got, fromCache, err, token, cached)
	}
}

func TestLifeOfAnEntry(t *testing.T) {
	b := newBench(t)
	b.gives("one", 14*time.Minute)
	b.wants("one", false)
	b.gives("two", 30*time.Minute)
	b.now = b.now.Add(10 * time.Minute)
	b.wants("one", true)
	// A while before its end it is renewed.
	b.now = b.now.Add(time.Minute)
	b.wants("two", false)
	b.wants("two", true)
	// Nobody gets it in its last minute.
	b.now = b.now.Add(28*time.Minute + 10*time.Second)
	b.fails()
	if _, _, err := b.token(); err == nil {
		t.Error("given in its last minute")
	}
	// A clock set back makes it a miss.
	b.now = b.now.Add(-3 * time.Hour)
	b.gives("three", time.Hour)
	b.wants("three", false)
}

func TestRenewAheadThatFails(t *testing.T) {
	b := newBench(t)
	b.gives("one", 14*time.Minute)
	b.wants("one", false)
	b.fails()
	b.now = b.now.Add(11 * time.Minute)
	b.wants("one", false) // tried, and went on with what lives
	if len(b.notices) != 1 || !strings.HasPrefix(b.notices[0], "cat failed with exit status 1; the credential at hand lives until ") {
		t.Errorf("%q", b.notices)
	}
	b.gives("two", time.Hour)
	b.now = b.now.Add(10 * time.Second)
	b.wants("one", false) // not tried again at once
	b.now = b.now.Add(20 * time.Second)
	b.wants("two", false)
}

// While one renews ahead, the others take what lives.
func TestRenewAheadByOne(t *testing.T) {
	b := newBench(t)
	b.gives("one", 14*time.Minute)
	b.wants("one", false)
	names, _ := filepath.Glob(filepath.Join(b.Dir, "*"+entrySuffix))
	lock := strings.TrimSuffix(names[0], entrySuffix) + lockSuffix
	unlock, ok, err := fileLocker{}.tryLock(lock)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer unlock()
	b.gives("two", time.Hour)
	b.now = b.now.Add(11 * time.Minute)
	b.wants("one", false)
}

func TestUnknownLife(t *testing.T) {
	b := newBench(t)
	b.gives("one", 0)
	b.wants("one", false)
	b.gives("two", 0)
	b.now = b.now.Add(59 * time.Second)
	b.wants("one", true)
	b.now = b.now.Add(2 * time.Second)
	b.wants("two", false)
}

func TestRefusalsAreLimited(t *testing.T) {
	b := newBench(t)
	b.parent = func() process { return process{pid: 7, start: 1} }
	step := func(d time.Duration) { b.now = b.now.Add(d) }
	b.gives("one", time.Hour)
	b.wants("one", false)
	step(time.Second)
	b.gives("two", time.Hour)
	b.wants("two", false) // refused
	step(29 * time.Second)
	b.gives("three", time.Hour)
	b.wants("two", true) // too soon after the last
	step(2 * time.Second)
	b.wants("three", false)
	b.gives("four", time.Hour)
	step(31 * time.Second)
	b.wants("three", true) // the time doubles
	step(31 * time.Second)
	b.wants("four", false)
	// Where the issuer keeps giving the same, that is what there is.
	step(10 * time.Minute)
	b.wants("four", false)
	// Another process was not refused.
	b.parent = func() process { return process{pid: 7, start: 2} }
	b.wants("four", true)
}

type noLocks struct{}

func (noLocks) lock(context.Context, string) (func(), error) { return nil, syscall.ENOLCK }
func (noLocks) tryLock(path string) (func(), bool, error) {
	return nil, false, &os.PathError{Op: "flock", Path: path, Err: syscall.ENOLCK}
}

// A file system without locks, as NFS may be.
func TestNoLocks(t *testing.T) {
	b := newBench(t)
	b.locker = noLocks{}
	b.gives("one", time.Hour)
	b.wants("one", false)
	b.wants("one", true)
	if len(b.notices) != 1 || !strings.HasPrefix(b.notices[0], "cannot lock its cache, so that calls at the same time each ask the issuer: ") {
		t.Errorf("%q", b.notices)
	}
}

type heldLock struct{}

func (heldLock) tryLock(string) (func(), bool, error) { return nil, false, nil }
func (heldLock) lock(ctx context.Context, _ string) (func(), error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A holder that never lets go is waited for no longer than an issuer may take.
func TestWaitIsBounded(t *testing.T) {
	b := newBench(t)
	b.locker = heldLock{}
	b.Timeout = 10 * time.Millisecond
	b.gives("one", time.Hour)
	began := time.Now()
	b.Timeout = time.Second // for cat
	got, _, err := b.token()
	if err != nil || got != "one" || time.Since(began) > 10*time.Second {
		t.Errorf("%q %v after %s", got, err, time.Since(began))
	}
	if len(b.notices) != 1 || b.notices[0] != "waited long enough for another process that runs cat, and runs it too" {
		t.Errorf("%q", b.notices)
	}
}

func TestCancelledWait(t *testing.T) {
	b := newBench(t)
	b.locker = heldLock{}
	b.gives("one", time.Hour)
	ask, err := b.Client(infoV1, "cat", []string{b.answer})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask.Issue(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSweep(t *testing.T) {
	b := newBench(t)
	b.gives("one", time.Hour)
	b.wants("one", false)
	old := b.now.Add(-8 * 24 * time.Hour)
	key := clientName + "-" + strings.Repeat("ab", 32)
	for _, name := range []string{key + entrySuffix, key + lockSuffix, key + servedSuffix, tempPrefix + "1", "mine"} {
		path := filepath.Join(b.Dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	(&store{b.Dir}).sweep(b.now)
	left, err := os.ReadDir(b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if strings.HasPrefix(e.Name(), key) || strings.HasPrefix(e.Name(), tempPrefix) {
			t.Errorf("%s is left", e.Name())
		}
	}
	if _, err := os.Stat(filepath.Join(b.Dir, "mine")); err != nil {
		t.Error("a file of another's was removed")
	}
	b.wants("one", true)
}
