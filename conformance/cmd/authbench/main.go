//go:build unix

// Authbench measures webhooks for IAM logins side by side: TokenReviews a
// second and their p50 and p99, with repeated and with unique tokens, over TLS
// at several numbers of connections, before one stand-in for STS that checks
// every signature. The servers reach it by HTTPS_PROXY and SSL_CERT_FILE.
//
//	go run ./cmd/authbench -kubecred ../bin/kubecred [-for 3s]
//
// aws-iam-authenticator is built once from the module that pins it; -peer names
// another one, or "none".
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsfake"
)

const config = `clusterID: demo
server:
  mapUsers:
  - userARN: ` + awsfake.UserARN + `
    username: alice
    groups: [devs]
`

func main() {
	own := flag.String("kubecred", "../bin/kubecred", "kubecred")
	peer := flag.String("peer", "", "aws-iam-authenticator; none to leave it out")
	span := flag.Duration("for", 3*time.Second, "length of each measurement")
	conns := flag.String("connections", "1,16,256", "numbers of connections")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *own, *peer, *span, *conns); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, own, peer string, span time.Duration, conns string) error {
	dir, err := os.MkdirTemp("", "authbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	aws, err := awsfake.Start(awsfake.Default())
	if err != nil {
		return err
	}
	defer aws.Close()
	proxy, err := aws.StartProxy()
	if err != nil {
		return err
	}
	ca := filepath.Join(dir, "ca.pem")
	for name, data := range map[string][]byte{ca: proxy.CA, filepath.Join(dir, "config.yaml"): []byte(config)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return err
		}
	}
	env := append(os.Environ(), "HTTPS_PROXY="+proxy.URL, "SSL_CERT_FILE="+ca, "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=")
	programs := [][]string{{"kubecred", own}}
	if peer == "" {
		if peer, err = lab.Program(ctx, "aws-iam-authenticator", os.Stderr); err != nil {
			return err
		}
	}
	if peer != "none" {
		programs = append(programs, []string{"aws-iam-authenticator", peer})
	}
	fmt.Printf("%-22s %-9s %5s %10s %10s %10s %8s %10s\n", "server", "tokens", "conns", "a second", "p50", "p99", "wrong", "RSS")
	for _, p := range programs {
		state := filepath.Join(dir, p[0])
		if err := os.MkdirAll(state, 0o700); err != nil {
			return err
		}
		port, err := freePort()
		if err != nil {
			return err
		}
		args := []string{"server", "--config", filepath.Join(dir, "config.yaml"), "--state-dir", state, "--generate-kubeconfig", filepath.Join(state, "kubeconfig"), "--port", port}
		if p[0] == "kubecred" {
			args = []string{"authenticator", "serve", "--config", filepath.Join(dir, "config.yaml"), "--state-dir", state, "--address", "127.0.0.1:" + port}
		}
		if err := measure(ctx, p[0], p[1], args, env, port, span, conns); err != nil {
			return err
		}
	}
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

func measure(ctx context.Context, name, program string, args, env []string, port string, span time.Duration, conns string) error {
	cmd := exec.Command(program, args...)
	cmd.Env = env
	log, err := os.CreateTemp("", "authbench-log-")
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	}()
	url := "https://127.0.0.1:" + port + "/authenticate"
	deadline := time.Now().Add(20 * time.Second)
	for {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.New(name + " does not listen")
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, unique := range []bool{false, true} {
		for _, text := range strings.Split(conns, ",") {
			n, err := strconv.Atoi(text)
			if err != nil {
				return err
			}
			r := load(ctx, url, name, unique, n, span)
			kind := "repeated"
			if unique {
				kind = "unique"
			}
			fmt.Printf("%-22s %-9s %5d %10.0f %10v %10v %8d %7d MB\n", name, kind, n, r.rate, r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond), r.wrong, rss(cmd.Process.Pid))
		}
	}
	return ctx.Err()
}

func rss(pid int) int {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb / 1024
		}
	}
	return 0
}

type result struct {
	rate     float64
	p50, p99 time.Duration
	wrong    int64
}

var serial atomic.Int64

// token signs a token; each call a different one.
func token() string {
	e, _ := ekstoken.LookupHost("sts.eu-west-1.amazonaws.com")
	n := serial.Add(1)
	t, err := ekstoken.Sign(ekstoken.Credentials{AccessKeyID: awsfake.UserKey, SecretAccessKey: awsfake.UserSecret}, ekstoken.Request{
		ClusterID: "demo", Endpoint: e, Time: time.Now().Add(-time.Duration(n%300) * time.Second), Expires: int(n/300)%899 + 1,
	})
	if err != nil {
		panic(err)
	}
	return t
}

func body(token, version string) []byte {
	data, _ := json.Marshal(map[string]any{"apiVersion": "authentication.k8s.io/" + version, "kind": "TokenReview", "spec": map[string]string{"token": token}})
	return data
}

func load(ctx context.Context, url, name string, unique bool, conns int, span time.Duration) result {
	version := "v1beta1" // the only one that the peer speaks
	client := func() *http.Client {
		return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 1, MaxConnsPerHost: 1,
		}}
	}
	same := body(token(), version)
	// Unique tokens are signed before, so that signing is not measured.
	var ready [][]byte
	if unique {
		for range int(span.Seconds()*4500) + conns {
			ready = append(ready, body(token(), version))
		}
	}
	var next, wrong atomic.Int64
	times := make([][]time.Duration, conns)
	ctx, cancel := context.WithTimeout(ctx, span+time.Second)
	defer cancel()
	var wg, up sync.WaitGroup
	up.Add(conns)
	begin := make(chan struct{})
	for i := range conns {
		wg.Go(func() {
			c := client()
			defer c.CloseIdleConnections()
			_ = post(ctx, c, url, same) // the handshake is not measured
			up.Done()
			<-begin
			for end := time.Now().Add(span); time.Now().Before(end) && ctx.Err() == nil; {
				b := same
				if unique {
					n := int(next.Add(1)) - 1
					if n >= len(ready) {
						return
					}
					b = ready[n]
				}
				start := time.Now()
				if err := post(ctx, c, url, b); err != nil {
					if ctx.Err() == nil {
						wrong.Add(1)
					}
					continue
				}
				times[i] = append(times[i], time.Since(start))
			}
		})
	}
	up.Wait()
	start := time.Now()
	close(begin)
	wg.Wait()
	took := time.Since(start)
	all := slices.Concat(times...)
	slices.Sort(all)
	if len(all) == 0 {
		return result{wrong: wrong.Load()}
	}
	return result{float64(len(all)) / took.Seconds(), all[len(all)/2], all[len(all)*99/100], wrong.Load()}
}

func post(ctx context.Context, c *http.Client, url string, b []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != 200 || !bytes.Contains(data, []byte(`"alice"`)) {
		return errors.New(res.Status)
	}
	return nil
}
