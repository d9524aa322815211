// Hosts answers where containerd asks for the images of a registry, with
// containerd's own code: its reading of config_path, and the choice that its
// resolver makes by capabilities. It reads one question a line as JSON from stdin
// and writes one answer a line to stdout.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/sirupsen/logrus"
)

// question asks for the hosts of a registry. Certificates are PEM, to be told of
// each host which of them it is trusted by.
type question struct {
	Dirs         []string `json:"dirs"`
	Registry     string   `json:"registry"`
	Digest       bool     `json:"digest"`
	PlainHTTP    bool     `json:"plainHTTP"`
	Certificates []string `json:"certificates"`
}

// host is one that is asked. Fallback: TLS is tried first, then http.
type host struct {
	URL        string              `json:"url"`
	Header     map[string][]string `json:"header"`
	SkipVerify bool                `json:"skipVerify"`
	Trusted    []bool              `json:"trusted"`
	Shown      int                 `json:"shown"`
	Fallback   bool                `json:"fallback"`
}

type answer struct {
	Hosts []host `json:"hosts"`
	// Ignored says that a hosts.toml was passed over.
	Ignored bool   `json:"ignored"`
	Error   string `json:"error"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	out := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(out)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var q question
			if err := json.Unmarshal(line, &q); err != nil {
				fmt.Fprintln(os.Stderr, "hosts:", err)
				os.Exit(1)
			}
			_ = enc.Encode(ask(q))
		}
		if in.Buffered() == 0 || err != nil {
			_ = out.Flush()
		}
		if err != nil {
			return
		}
	}
}

func ask(q question) answer {
	var said bytes.Buffer
	logger := logrus.New()
	logger.SetOutput(&said)
	logger.SetLevel(logrus.ErrorLevel)
	ctx := log.WithLogger(context.Background(), logrus.NewEntry(logger))

	// A transport is out of sight where http is its second try: each is kept as it
	// is made.
	transports := map[*http.Client]*http.Transport{}
	options := config.HostOptions{
		HostDir: func(registry string) (string, error) {
			for _, dir := range q.Dirs { // as its CRI plugin goes through config_path
				found, err := config.HostDirFromRoot(dir)(registry)
				if err != nil && !errdefs.IsNotFound(err) || found != "" {
					return found, err
				}
			}
			return "", errdefs.ErrNotFound
		},
		UpdateClient: func(c *http.Client) error {
			transports[c] = c.Transport.(*http.Transport)
			return nil
		},
	}
	if q.PlainHTTP {
		options.DefaultScheme = "http"
	}
	found, err := config.ConfigureHosts(ctx, options)(q.Registry)
	a := answer{Ignored: said.Len() > 0}
	if err != nil {
		return answer{Error: err.Error()}
	}
	need := docker.HostCapabilityResolve
	if q.Digest {
		need = docker.HostCapabilityPull
	}
	for _, h := range found {
		if !h.Capabilities.Has(need) || h.Host == "" { // a host without a name is asked in vain
			continue
		}
		transport := transports[h.Client]
		_, plain := h.Client.Transport.(*http.Transport)
		a.Hosts = append(a.Hosts, host{
			URL: h.Scheme + "://" + h.Host + path.Join("/", h.Path), Header: h.Header, Fallback: !plain,
			SkipVerify: transport.TLSClientConfig.InsecureSkipVerify, Trusted: trusted(transport.TLSClientConfig, q.Certificates),
			Shown: len(transport.TLSClientConfig.Certificates),
		})
	}
	if len(a.Hosts) == 0 {
		a = answer{Error: "no host is asked"}
	}
	return a
}

func trusted(c *tls.Config, certificates []string) []bool {
	out := make([]bool, len(certificates))
	for i, text := range certificates {
		block, _ := pem.Decode([]byte(text))
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err == nil {
			_, err = certificate.Verify(x509.VerifyOptions{Roots: c.RootCAs})
		}
		out[i] = err == nil
	}
	return out
}
