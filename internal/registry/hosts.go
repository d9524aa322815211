package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Options say how endpoints are found and reached.
type Options struct {
	// HostsDirs are the folders of containerd's config_path, such as
	// /etc/containerd/certs.d, in which a registry has a folder. None for no mirrors.
	HostsDirs []string
	// Digest says that the image is named by its digest.
	Digest bool
	// PlainHTTP asks without TLS.
	PlainHTTP bool
	// Roots are the certificates to trust beside the system's, nil for none.
	Roots *x509.CertPool
}

// Endpoints returns where a runtime asks for images of a registry, in order: the
// mirrors of its hosts.toml, then the registry itself. A tag is asked for where
// there is the capability to resolve, a digest where there is the one to pull
// (containerd's core/remotes/docker/resolver.go, config/hosts.go).
//
// ignored says in a line which hosts.toml containerd passes over and why, "" for
// none: it writes that to its log and goes on as if the file were not there. Faults
// that make its pull fail are errors.
func Endpoints(host string, o Options) (endpoints []Endpoint, ignored string, err error) {
	hosts, ignored, err := hostsOf(host, o.HostsDirs)
	if err != nil {
		return nil, "", err
	}
	last := &hosts[len(hosts)-1]
	if last.host == "" {
		last.ownDefaults(host, o)
	}
	for _, h := range hosts {
		e, err := h.endpoint(o)
		if err != nil {
			return nil, "", err
		}
		if !h.serves(o) || h.host == "" {
			continue
		}
		e.Mirror = standsIn(e, host)
		endpoints = append(endpoints, e)
	}
	if len(endpoints) == 0 {
		return nil, "", errors.New("by its hosts.toml none of the registry's hosts is asked for the image")
	}
	return endpoints, ignored, nil
}

// standsIn tells whether an endpoint is another host than the registry, which it is
// then told.
func standsIn(e Endpoint, registry string) bool {
	return e.Base.Host != registry && (registry != "docker.io" || e.Base.Host != "registry-1.docker.io")
}

// hostsOf are the hosts of a registry by the first of its folders, the last of them
// the registry itself.
func hostsOf(host string, dirs []string) (hosts []hostConfig, ignored string, err error) {
	dir, err := folder(dirs, host)
	if err != nil || dir == "" {
		return make([]hostConfig, 1), "", err
	}
	file := filepath.Join(dir, "hosts.toml")
	data, err := readHosts(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	if len(data) > 0 {
		if hosts, err = parseHosts(data, dir); err == nil {
			return hosts, "", nil
		}
		ignored = file + ": " + strings.Join(strings.Fields(err.Error()), " ")
	}
	h, err := dockerFiles(dir)
	return []hostConfig{h}, ignored, err
}

// folder finds a registry's folder: by its name, with the port written _5000_ or
// :5000, or else _default.
func folder(dirs []string, host string) (string, error) {
	var names []string
	if i := strings.LastIndex(host, ":"); i > 0 {
		names = append(names, host[:i]+"_"+host[i+1:]+"_")
	}
	names = append(names, host, "_default")
	for _, dir := range dirs {
		for _, name := range names {
			p := filepath.Join(dir, name)
			if _, err := os.Stat(p); err == nil {
				return p, nil
			} else if !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
	}
	return "", nil
}

// hostConfig is a host of a registry, as its folder says.
type hostConfig struct {
	scheme, host, path string
	pull, resolve      bool
	tlsFiles
	skipVerify  *bool
	header      http.Header
	dialTimeout time.Duration
}

func (h hostConfig) serves(o Options) bool {
	if o.Digest {
		return h.pull
	}
	return h.resolve
}

// ownDefaults makes of a host without an address the registry itself. One on this
// machine is taken to speak http, or TLS with a certificate that nobody knows, where
// its port does not say.
func (h *hostConfig) ownDefaults(registry string, o Options) {
	h.scheme, h.host, h.path, h.pull, h.resolve = "https", registry, "/v2", true, true
	switch {
	case registry == "docker.io":
		h.host = "registry-1.docker.io"
	case o.PlainHTTP:
		h.scheme = "http"
	case isLoopback(registry):
		_, port, _ := net.SplitHostPort(registry)
		if port != "" && port != "443" {
			h.scheme = "http"
		}
		if port != "80" {
			yes := true
			h.skipVerify = &yes
		}
	}
}

func isLoopback(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	if name == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && addr.IsLoopback()
}

// endpoint is how the host is asked. Where it has both http and something to say of
// TLS, TLS is tried first.
func (h hostConfig) endpoint(o Options) (Endpoint, error) {
	e := Endpoint{Base: &url.URL{Scheme: h.scheme, Host: h.host, Path: path.Join("/", h.path)}, Header: h.header, DialTimeout: h.dialTimeout}
	explicit := h.certificates != nil || h.pairs != nil || h.skipVerify != nil || o.Roots != nil
	if explicit {
		e.TLS = &tls.Config{}
		if o.Roots != nil {
			e.TLS.RootCAs = o.Roots.Clone() // what this host is trusted with is no other's
		}
		if h.skipVerify != nil {
			e.TLS.InsecureSkipVerify = *h.skipVerify // the file says so
		}
		if err := h.load(e.TLS); err != nil {
			return e, err
		}
	}
	if h.scheme == "http" && explicit {
		if _, port, _ := net.SplitHostPort(h.host); port != "80" {
			e.Base.Scheme, e.HTTPFallback = "https", true
		}
	}
	return e, nil
}
