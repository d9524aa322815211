//go:build unix

package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// flooded is a webhook without a cluster, before a stand-in for STS.
type flooded struct {
	url   string
	pid   int
	token string
}

func startFlooded(ctx context.Context, t *testing.T, args ...string) *flooded {
	t.Helper()
	aws := must[*awsfake.Server](t)(awsfake.Start(awsfake.Default()))
	t.Cleanup(func() { _ = aws.Close() })
	mapping := file(t, "aws-auth.yaml", fmt.Sprintf(aliceEntry, "devs"))
	state := t.TempDir()
	env := append(os.Environ(), "AWS_ENDPOINT_URL="+aws.URL, "AWS_EC2_METADATA_DISABLED=true")
	f := &flooded{token: signFor(t, ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: awsfake.UserSecret}, "demo", time.Now())}
	f.url, f.pid = startProgram(ctx, t, env, must[string](t)(shared.Kubecred(ctx, "kubecred")), func(port string) []string {
		return append([]string{"authenticator", "serve", "--cluster-id", "demo", "--mapping", mapping, "--state-dir", state, "--address", "127.0.0.1:" + port}, args...)
	})
	return f
}

func (f *flooded) host() string {
	u, _ := url.Parse(f.url)
	return u.Host
}

// works asks a review and says how long it took.
func (f *flooded) works(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	if got := reviewAt(ctx, t, f.url, f.token); !got.Authenticated || got.User.Username != "alice" {
		t.Errorf("%+v", got)
	}
	return time.Since(start)
}

// rss is what the webhook has in memory, in KiB, and files how many it has open.
func (f *flooded) rss(t *testing.T) (kb, files int) {
	t.Helper()
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/status", f.pid))))) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb = must[int](t)(strconv.Atoi(strings.Fields(rest)[0]))
		}
	}
	return kb, len(must[[]os.DirEntry](t)(os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.pid))))
}

// idle opens connections with TLS that ask once how the server is, and then say
// nothing. (Those that never ask anything are closed after five seconds.)
func (f *flooded) idle(t *testing.T, n int) {
	t.Helper()
	conns := make(chan net.Conn, n)
	t.Cleanup(func() {
		close(conns)
		for c := range conns {
			_ = c.Close()
		}
	})
	var wg sync.WaitGroup
	todo := make(chan struct{}, n)
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	for range 16 {
		wg.Go(func() {
			for range todo {
				c, err := tls.Dial("tcp", f.host(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
				if err == nil {
					conns <- c
					_, err = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
				}
				if err == nil {
					_, err = c.Read(make([]byte, 1000))
				}
				if err != nil {
					t.Errorf("a connection: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestWebhookIdleConnections: ten thousand connections that say nothing are
// either kept, at a few KiB each, or closed where there are more than the limit;
// reviews are answered all the while.
func TestWebhookIdleConnections(t *testing.T) {
	const idle = 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < idle+1000 {
		// Root may have more; the programs that this one starts have the same.
		limit.Cur, limit.Max = idle+1000, idle+1000
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
			t.Logf("raised the limit of open files to %d", limit.Max)
		}
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < idle+1000 {
		t.Skipf("a process may have %d open files here, and %d are needed (ulimit -Hn)", limit.Max, idle+1000)
	}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skipf("no /proc to read a process's memory from: %v", err)
	}
	for name, most := range map[string]int{"kept": idle + 500, "limited": 2048} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t, 3*time.Minute)
			f := startFlooded(ctx, t, "--max-connections", strconv.Itoa(most))
			f.works(ctx, t)
			before, files := f.rss(t)
			f.idle(t, idle)
			took := f.works(ctx, t)
			want := min(most, idle)
			var after, open int
			// Closing the rest goes on in the background for a moment.
			waitFor(t, ctx, fmt.Sprintf("%d connections are open", want), func() bool {
				after, open = f.rss(t)
				return open-files <= want+10
			})
			if open-files < want-10 {
				t.Errorf("%d connections are open, want %d", open-files, want)
			}
			each := float64(after-before) / float64(want)
			t.Logf("%d idle connections opened, %d kept: memory %d MB before, %d MB after, %.1f KiB for each; a review took %v", idle, open-files, before>>10, after>>10, each, took)
			// Where most are closed, what is there is garbage of theirs as well, which
			// is collected the later the less memory is in use (serve
			// asks for that).
			// Its soft limit bounds that.
			const mostKB = 360 << 10
			if most > idle && each > 80 || most < idle && after > mostKB || took > 5*time.Second {
				t.Errorf("%.1f KiB for each connection, a review in %v", each, took)
			}
		})
	}
}

// TestWebhookSlowAndLarge: bodies of 100 MB, and headers and bodies that come a
// byte at a time, are ended, and cost others nothing.
func TestWebhookSlowAndLarge(t *testing.T) {
	ctx := within(t, time.Minute)
	f := startFlooded(ctx, t)
	f.works(ctx, t)
	before, _ := f.rss(t)
	// A byte at a time, in the header and in the body.
	begin := time.Now()
	var wg sync.WaitGroup
	for i, text := range []string{"POST /authenticate HTTP/1.1\r\nHost: x\r\nX-Slow: ", "POST /authenticate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"} {
		for range 200 {
			c := must[*tls.Conn](t)(tls.Dial("tcp", f.host(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}))
			wg.Go(func() {
				defer c.Close()
				_, _ = io.WriteString(c, text)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_, _ = io.Copy(io.Discard, c)
				}()
				drip := time.NewTicker(500 * time.Millisecond)
				defer drip.Stop()
				for {
					select {
					case <-ended:
						if took := time.Since(begin); took > 25*time.Second {
							t.Errorf("kind %d was listened to for %v", i, took)
						}
						return
					case <-drip.C:
						_, _ = c.Write([]byte(" "))
					}
				}
			})
		}
	}
	for _, length := range []string{"Content-Length: 104857600", "Transfer-Encoding: chunked"} {
		c := must[*tls.Conn](t)(tls.Dial("tcp", f.host(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}))
		fmt.Fprintf(c, "POST /authenticate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s\r\n\r\n", length)
		wg.Go(func() {
			piece := []byte(strings.Repeat(" ", 1<<20))
			for range 100 {
				if strings.HasPrefix(length, "T") {
					fmt.Fprintf(c, "%x\r\n", len(piece))
				}
				if _, err := c.Write(piece); err != nil {
					break // it listens no longer
				}
				_, _ = io.WriteString(c, "\r\n")
			}
		})
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s of 100 MB: %v, %v", length, res, err)
		}
		_ = c.Close()
	}
	if took := f.works(ctx, t); took > 5*time.Second {
		t.Errorf("a review took %v", took)
	}
	wg.Wait()
	after, _ := f.rss(t)
	t.Logf("all were ended after %v; memory %d MB before, %d MB after", time.Since(begin).Round(time.Second), before>>10, after>>10)
	if after-before > 50<<10 {
		t.Errorf("memory grew from %d to %d KiB", before, after)
	}
}
