package registry

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxHosts bounds a hosts.toml.
const maxHosts = 1 << 20

func readHosts(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxHosts {
		return nil, fmt.Errorf("%s is no regular file of at most 1 MiB", file)
	}
	return os.ReadFile(file)
}

// hostTable is a host in a hosts.toml (containerd's docs/hosts.md).
type hostTable struct {
	Capabilities []string       `toml:"capabilities"`
	CA           any            `toml:"ca"`
	Client       any            `toml:"client"`
	SkipVerify   *bool          `toml:"skip_verify"`
	Header       map[string]any `toml:"header"`
	OverridePath bool           `toml:"override_path"`
	DialTimeout  string         `toml:"dial_timeout"`
}

// parseHosts reads a hosts.toml. The hosts are those that have a table, in the order
// of the file, and last the one at the top, which is the registry itself where it
// has no server.
func parseHosts(data []byte, dir string) ([]hostConfig, error) {
	var file struct {
		hostTable
		Server string               `toml:"server"`
		Host   map[string]hostTable `toml:"host"`
	}
	if err := toml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	var hosts []hostConfig
	for _, address := range tables(data) {
		h, err := file.Host[address].config(address, dir)
		if err != nil {
			return nil, fmt.Errorf("host %q: %w", address, err)
		}
		hosts = append(hosts, h)
	}
	h, err := file.hostTable.config(file.Server, dir)
	if err != nil {
		return nil, err
	}
	return append(hosts, h), nil
}

// tables are the hosts that have a table of their own, or of their header, in the
// order of the file. One that is taken up again after another is asked again.
func tables(data []byte) []string {
	var out []string
	var p unstable.Parser
	p.Reset(data)
	for last := ""; p.NextExpression(); {
		e := p.Expression()
		if e.Kind != unstable.Table {
			continue
		}
		var parts []string
		for it := e.Key(); it.Next(); {
			parts = append(parts, string(it.Node().Data))
		}
		if len(parts) >= 2 && parts[0] == "host" && parts[1] != last {
			last = parts[1]
			out = append(out, last)
		}
	}
	return out
}

func (t hostTable) config(address, dir string) (h hostConfig, err error) {
	if address != "" {
		if h.scheme, h.host, h.path, err = t.address(address); err != nil {
			return h, err
		}
	}
	h.pull, h.resolve = len(t.Capabilities) == 0, len(t.Capabilities) == 0
	for _, c := range t.Capabilities {
		switch strings.ToLower(c) {
		case "pull":
			h.pull = true
		case "resolve":
			h.resolve = true
		case "push", "referrers":
		default:
			return h, fmt.Errorf("capability %q: there are pull, resolve, push and referrers", c)
		}
	}
	h.skipVerify = t.SkipVerify
	if t.CA != nil {
		if h.certificates, err = texts(t.CA); err != nil {
			return h, fmt.Errorf("ca: %w", err)
		}
		for i, name := range h.certificates {
			h.certificates[i] = below(dir, name)
		}
	}
	if t.Client != nil {
		if h.pairs, err = clientPairs(t.Client, dir); err != nil {
			return h, fmt.Errorf("client: %w", err)
		}
	}
	for name, value := range t.Header {
		values, err := texts(value)
		if err != nil {
			return h, fmt.Errorf("header %q: %w", name, err)
		}
		if h.header == nil {
			h.header = http.Header{}
		}
		h.header[name] = values
	}
	if t.DialTimeout != "" {
		if h.dialTimeout, err = time.ParseDuration(t.DialTimeout); err != nil {
			return h, fmt.Errorf("dial_timeout: %w", err)
		}
	}
	return h, nil
}

func (t hostTable) address(s string) (scheme, host, root string, err error) {
	if !strings.HasPrefix(s, "http") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", "", "", err
	}
	root = u.Path
	if root != "" {
		root = path.Clean(root)
	}
	if !strings.HasSuffix(root, "/v2") && !t.OverridePath {
		root += "/v2"
	}
	return u.Scheme, u.Host, root, nil
}

// clientPairs reads client: a file with certificate and key, a list of such
// files, or a list of pairs.
func clientPairs(v any, dir string) ([][2]string, error) {
	var out [][2]string
	items, ok := v.([]any)
	if !ok {
		items = []any{v}
	}
	for _, item := range items {
		names, err := texts(item)
		if err != nil {
			return nil, err
		}
		switch _, pair := item.([]any); {
		case !pair:
			out = append(out, [2]string{below(dir, names[0])})
		case len(names) != 2:
			return nil, fmt.Errorf("a pair of %d files", len(names))
		default:
			out = append(out, [2]string{below(dir, names[0]), below(dir, names[1])})
		}
	}
	return out, nil
}

// texts reads a string or a list of strings.
func texts(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, len(v))
		for i, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("%v is no string", item)
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, fmt.Errorf("%v is neither a string nor a list of strings", v)
}

func below(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
