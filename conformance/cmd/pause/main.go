// Pause is what runs in the lab's containers. It waits to be stopped, and with
// -server it is a program that asks the API server for something now and then:
//
//	pause -server https://127.0.0.1:6443 -agent never/1 -again=false
//
// It reads the pod's own token file once, or before each request with -again. A
// token in the -first file, where there is one, takes the place of the first.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const mounted = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	var c client
	flag.StringVar(&c.server, "server", "", "the API server's `URL`")
	flag.StringVar(&c.agent, "agent", "pause/1", "the user agent")
	flag.BoolVar(&c.again, "again", false, "read the token file before each request")
	first := flag.String("first", "", "a `file` with a token to begin with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if c.server == "" {
		<-ctx.Done()
		return
	}
	if err := c.begin(*first); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for tick := time.NewTicker(time.Second); ; {
		if err := c.ask(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

type client struct {
	server, agent, token string
	again                bool
	http                 http.Client
}

func (c *client) begin(first string) error {
	ca, err := os.ReadFile(mounted + "ca.crt")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	c.http = http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	if token, err := os.ReadFile(first); first != "" && err == nil {
		c.token = strings.TrimSpace(string(token))
		return nil
	}
	return c.read()
}

func (c *client) read() error {
	token, err := os.ReadFile(mounted + "token")
	c.token = strings.TrimSpace(string(token))
	return err
}

func (c *client) ask(ctx context.Context) error {
	if c.again {
		if err := c.read(); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+"/api/v1/namespaces?limit=1", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("User-Agent", c.agent)
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return err
}
