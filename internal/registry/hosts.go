package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Options say how endpoints are found and reached.
type Options struct {
	// HostsDir is containerd's config_path, such as /etc/containerd/certs.d; ""
	// for no mirrors.
	HostsDir string
	// Digest says that the image is named by its digest.
	Digest bool
	// PlainHTTP asks without TLS.
	PlainHTTP bool
	// Roots are the certificates to trust beside the system's, nil for none.
	Roots *x509.CertPool
}

// maxHosts bounds a hosts.toml.
const maxHosts = 1 << 20

// Endpoints returns where a runtime asks for images of a registry, in order: the
// mirrors of its hosts.toml, then the registry itself. A tag is asked for where
// there is the capability to resolve, a digest where there is the one to pull
// (containerd's core/remotes/docker/resolver.go).
func Endpoints(host string, o Options) ([]Endpoint, error) {
	own := ownEndpoint(host, o)
	if o.HostsDir == "" {
		return []Endpoint{own}, nil
	}
	file, data, err := hostsFile(o.HostsDir, host)
	if err != nil {
		return nil, err
	}
	if file == "" {
		return []Endpoint{own}, nil
	}
	out, err := parseHosts(data, filepath.Dir(file), host, own, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out, nil
}

// ownEndpoint is the registry itself.
func ownEndpoint(host string, o Options) Endpoint {
	address := host
	if host == "docker.io" {
		address = "registry-1.docker.io"
	}
	e := Endpoint{Base: &url.URL{Scheme: "https", Host: address, Path: "/v2"}, HTTPFallback: isLoopback(host)}
	if o.PlainHTTP {
		e.Base.Scheme = "http"
	}
	if o.Roots != nil {
		e.TLS = &tls.Config{RootCAs: o.Roots}
	}
	return e
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

// hostsFile finds a registry's hosts.toml as containerd does: by its name, with
// the port written _5000_ or :5000, or else _default.
func hostsFile(dir, host string) (string, []byte, error) {
	var names []string
	if i := strings.LastIndex(host, ":"); i > 0 {
		names = append(names, host[:i]+"_"+host[i+1:]+"_")
	}
	for _, name := range append(names, host, "_default") {
		folder := filepath.Join(dir, name)
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			continue
		}
		file := filepath.Join(folder, "hosts.toml")
		info, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", nil, nil // the folder is the registry's, and names no mirror
		case err != nil:
			return "", nil, err
		case !info.Mode().IsRegular() || info.Size() > maxHosts:
			return "", nil, fmt.Errorf("%s is no regular file of at most 1 MiB", file)
		}
		data, err := os.ReadFile(file)
		return file, data, err
	}
	return "", nil, nil
}

// hostTable is a host in a hosts.toml (containerd's docs/hosts.md).
type hostTable struct {
	Capabilities []string       `toml:"capabilities"`
	CA           any            `toml:"ca"`
	Client       any            `toml:"client"`
	SkipVerify   *bool          `toml:"skip_verify"`
	Header       map[string]any `toml:"header"`
	OverridePath bool           `toml:"override_path"`
}

type hostsTable struct {
	Server string `toml:"server"`
	hostTable
	Host map[string]hostTable `toml:"host"`
}

func parseHosts(data []byte, dir, host string, own Endpoint, o Options) ([]Endpoint, error) {
	var t hostsTable
	meta, err := toml.Decode(string(data), &t)
	if err != nil {
		return nil, err
	}
	var out []Endpoint
	var seen []string
	// Mirrors are asked in the order of the file.
	for _, key := range meta.Keys() {
		if len(key) < 2 || key[0] != "host" || slices.Contains(seen, key[1]) {
			continue
		}
		seen = append(seen, key[1])
		table := t.Host[key[1]]
		if !table.serves(o) {
			continue
		}
		e, err := table.endpoint(key[1], dir, o)
		if err != nil {
			return nil, fmt.Errorf("host %q: %w", key[1], err)
		}
		e.Mirror = standsIn(e, host)
		out = append(out, e)
	}
	if t.Server == "" {
		return append(out, own), nil
	}
	if !t.serves(o) {
		if len(out) == 0 {
			return nil, errors.New("by its capabilities none of its hosts is asked for the image")
		}
		return out, nil
	}
	e, err := t.hostTable.endpoint(t.Server, dir, o)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", t.Server, err)
	}
	e.Mirror = standsIn(e, host)
	return append(out, e), nil
}

// standsIn tells whether an endpoint is another host than the registry, which it is
// then told.
func standsIn(e Endpoint, registry string) bool {
	return e.Base.Host != registry && (registry != "docker.io" || e.Base.Host != "registry-1.docker.io")
}

// serves tells whether the host is asked for the image. Without capabilities it
// has all.
func (t hostTable) serves(o Options) bool {
	need := "resolve"
	if o.Digest {
		need = "pull"
	}
	return len(t.Capabilities) == 0 || slices.Contains(t.Capabilities, need)
}

func (t hostTable) endpoint(address, dir string, o Options) (Endpoint, error) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return Endpoint{}, errors.New("no http or https address")
	}
	if !t.OverridePath && !strings.HasSuffix(u.Path, "/v2") {
		u.Path = strings.TrimSuffix(u.Path, "/") + "/v2"
	}
	e := Endpoint{Base: u, Header: http.Header{}, HTTPFallback: isLoopback(u.Host)}
	for name, value := range t.Header {
		for _, v := range texts(value) {
			e.Header.Add(name, v)
		}
	}
	config := &tls.Config{}
	if o.Roots != nil {
		config.RootCAs = o.Roots.Clone() // what this host is trusted with is no other's
	}
	if t.SkipVerify != nil {
		config.InsecureSkipVerify = *t.SkipVerify // the file says so
	}
	for _, name := range texts(t.CA) {
		pem, err := os.ReadFile(below(dir, name))
		if err != nil {
			return e, fmt.Errorf("ca: %w", err)
		}
		if config.RootCAs == nil {
			if config.RootCAs, err = x509.SystemCertPool(); err != nil {
				config.RootCAs = x509.NewCertPool()
			}
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return e, fmt.Errorf("ca: %s holds no certificate", name)
		}
	}
	for _, pair := range clientPairs(t.Client) {
		certificate, err := tls.LoadX509KeyPair(below(dir, pair[0]), below(dir, pair[1]))
		if err != nil {
			return e, fmt.Errorf("client: %w", err)
		}
		config.Certificates = append(config.Certificates, certificate)
	}
	if o.Roots != nil || t.SkipVerify != nil || config.RootCAs != nil || config.Certificates != nil {
		e.TLS = config
	}
	return e, nil
}

// clientPairs reads client: a file with certificate and key, a list of such
// files, or a list of pairs.
func clientPairs(v any) [][2]string {
	var out [][2]string
	switch v := v.(type) {
	case string:
		out = append(out, [2]string{v, v})
	case []any:
		for _, item := range v {
			switch item := item.(type) {
			case string:
				out = append(out, [2]string{item, item})
			case []any:
				if pair := texts(item); len(pair) == 2 && pair[1] != "" {
					out = append(out, [2]string{pair[0], pair[1]})
				} else if len(pair) > 0 {
					out = append(out, [2]string{pair[0], pair[0]})
				}
			}
		}
	}
	return out
}

func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func below(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
