//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/internal/awsfake"
)

const config = `clusterID: demo
server:
  mapUsers:
  - userARN: ` + awsfake.UserARN + `
    username: alice
    groups: [devs]
`

// stand is a stand-in for AWS with what a server needs to reach it.
type stand struct {
	aws *awsfake.Server
	dir string
	env []string
}

// newStand starts a stand-in for servers that have the config file. With lean
// STS does as little as can be, and can not fail.
func newStand(config string, lean bool) (*stand, error) {
	dir, err := os.MkdirTemp("", "authbench-")
	if err != nil {
		return nil, err
	}
	s := &stand{dir: dir}
	world := awsfake.Default()
	world.Forgetful = true
	if s.aws, err = awsfake.Start(world); err != nil {
		return nil, err
	}
	serve := func(c net.Conn) { answers(c, s.aws) }
	if lean {
		serve = serveSTS
	}
	proxy, err := s.aws.StartProxyFor(serve)
	if err != nil {
		return nil, err
	}
	ca := filepath.Join(dir, "ca.pem")
	for name, data := range map[string][]byte{ca: proxy.CA, filepath.Join(dir, "config.yaml"): []byte(config)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return nil, err
		}
	}
	s.env = append(os.Environ(), "HTTPS_PROXY="+proxy.URL, "SSL_CERT_FILE="+ca, "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=")
	return s, nil
}

func (s *stand) close() {
	if s.aws != nil {
		_ = s.aws.Close()
	}
	_ = os.RemoveAll(s.dir)
}

// server is a running webhook.
type server struct {
	name, address string
	cmd           *exec.Cmd
	ended         chan struct{}
}

// start runs kubecred or its peer, by its name, until it listens.
func (s *stand) start(ctx context.Context, name, program string, more ...string) (*server, error) {
	state := filepath.Join(s.dir, name)
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	config := filepath.Join(s.dir, "config.yaml")
	// All ask as one principal or a few, as fast as can be.
	args := []string{"authenticator", "serve", "--config", config, "--state-dir", state, "--address", address, "--sts-qps", "0", "--sts-qps-per-principal", "0"}
	if name == peerName {
		_, port, _ := net.SplitHostPort(address)
		args = []string{"server", "--config", config, "--state-dir", state, "--generate-kubeconfig", filepath.Join(state, "kubeconfig"), "--port", port}
	}
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	srv := &server{name: name, address: address, cmd: exec.Command(program, append(args, more...)...), ended: make(chan struct{})}
	srv.cmd.Env, srv.cmd.Stdout, srv.cmd.Stderr = s.env, log, log
	if err := srv.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = srv.cmd.Wait()
		close(srv.ended)
	}()
	if err := srv.listens(ctx); err != nil {
		srv.stop()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
	}
	return srv, nil
}

// listens waits until the server takes connections.
func (s *server) listens(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", s.address); err == nil {
			return c.Close()
		}
		select {
		case <-s.ended:
			return fmt.Errorf("it ended: %v", s.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("it does not listen: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// rss is the memory that the server has, in KiB.
func (s *server) rss() int {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb
		}
	}
	return 0
}

// peerProgram is the program of the peer: as given, or built from the module
// that pins it; "" where it is left out.
func peerProgram(ctx context.Context, given string) (string, error) {
	switch given {
	case "none":
		return "", nil
	case "":
		return lab.Program(ctx, peerName, os.Stderr)
	}
	return given, nil
}

// cpu is the processor time that the server has used.
func (s *server) cpu() time.Duration {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // a hundredth of a second each
}
