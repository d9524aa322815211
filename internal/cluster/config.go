// Package cluster reads a live cluster through client-go, and is the only
// package that may. It hands out small values of its own: nothing outside needs
// to know a Kubernetes type, and 50,000 pods fit into memory.
package cluster

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// ErrNoCluster says that neither a kubeconfig nor the environment of a pod
// names a cluster.
var ErrNoCluster = errors.New("no cluster is named: give --kubeconfig, set KUBECONFIG, or run in a pod")

// Options say which cluster to talk to, and how.
type Options struct {
	// Kubeconfig is a path, or several in the manner of $KUBECONFIG; "" for
	// $KUBECONFIG, then ~/.kube/config, then the pod's own service account.
	Kubeconfig string
	// Context is a context of the kubeconfig; "" for its current one.
	Context string
	// Home and Getenv are the world's, "" and nil for none.
	Home   string
	Getenv func(string) string
	// Version is the program's, for the user agent.
	Version string
	// Timeout bounds one request and the reading of its answer; 0 for a minute.
	// A watch has no use for it and takes NoTimeout.
	Timeout time.Duration
}

// NoTimeout is the Timeout of clients that watch. Their requests end with the
// contexts they are given.
const NoTimeout time.Duration = -1

// maxBody bounds one answer of the API server. A page of 500 pods of 64 KiB
// each is half of it.
const maxBody = 64 << 20

// Config returns how to reach the cluster, and the name by which a report
// calls it: the context, or "in-cluster".
func Config(o Options) (*rest.Config, string, error) {
	config, name, err := load(o)
	if err != nil {
		return nil, "", err
	}
	version := o.Version
	if version == "" {
		version = "devel"
	}
	config.UserAgent = fmt.Sprintf("kubecred/%s (%s/%s)", version, runtime.GOOS, runtime.GOARCH)
	switch o.Timeout {
	case NoTimeout:
		config.Timeout = 0
	case 0:
		config.Timeout = time.Minute
	default:
		config.Timeout = o.Timeout
	}
	// The default of 5 requests a second would make a large cluster wait for
	// nothing: the API server has its own priority and fairness.
	config.QPS, config.Burst = 50, 100
	// Deprecation warnings would go to stderr through klog.
	config.WarningHandler = rest.NoWarnings{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return limitBodies{next, maxBody} })
	return config, name, nil
}

func load(o Options) (*rest.Config, string, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	files := filepath.SplitList(o.Kubeconfig)
	explicit := len(files) > 0
	if !explicit {
		files = filepath.SplitList(getenv("KUBECONFIG"))
	}
	if len(files) == 0 && o.Home != "" {
		files = []string{filepath.Join(o.Home, ".kube", "config")}
	}
	var there []string
	for _, f := range files {
		if f == "" {
			continue
		}
		if _, err := os.Stat(f); err == nil {
			there = append(there, f)
		} else if explicit || !errors.Is(err, os.ErrNotExist) {
			return nil, "", fmt.Errorf("kubeconfig: %w", err)
		}
	}
	if len(there) == 0 {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, "", ErrNoCluster
		}
		if err != nil {
			return nil, "", fmt.Errorf("the pod's own service account: %w", err)
		}
		if o.Context != "" {
			return nil, "", fmt.Errorf("context %q: there is no kubeconfig that could have it", o.Context)
		}
		return config, "in-cluster", nil
	}
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: there}
	raw, err := rules.Load()
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	name := o.Context
	if name == "" {
		name = raw.CurrentContext
	}
	if name == "" && len(raw.Contexts) > 0 {
		return nil, "", fmt.Errorf("kubeconfig %s has no current-context: give --context", there[0])
	}
	if _, ok := raw.Contexts[name]; !ok && name != "" {
		return nil, "", fmt.Errorf("kubeconfig %s has no context %q: it has %s", there[0], name, contexts(raw))
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*raw, name, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, "", fmt.Errorf("kubeconfig %s names no cluster", there[0])
	}
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig %s: %w", there[0], err)
	}
	return config, name, nil
}

// contexts lists a kubeconfig's contexts for an error, the first ten of them.
func contexts(raw *api.Config) string {
	names := slices.Sorted(maps.Keys(raw.Contexts))
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > 10:
		return strings.Join(names[:10], ", ") + " and more"
	}
	return strings.Join(names, ", ")
}

// limitBodies ends an answer that is longer than any that this program asks
// for, so that a broken server cannot fill the memory. A watch's answer has no
// end by nature and is not counted.
type limitBodies struct {
	next http.RoundTripper
	max  int64
}

func (l limitBodies) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err != nil || resp.Body == nil || req.URL.Query().Get("watch") != "" {
		return resp, err
	}
	resp.Body = &limitedBody{resp.Body, l.max}
	return resp, nil
}

var errTooLarge = fmt.Errorf("the answer of the API server is larger than %d MiB", maxBody>>20)

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// Exactly at the limit may also be the end.
		var one [1]byte
		if n, err := b.ReadCloser.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
