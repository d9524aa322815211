package registry

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fake is a registry for the image team/app:1 and the login u/p.
type fake struct {
	*httptest.Server
	scheme string // of the challenge: basic, bearer, none, odd
	asked  []string
	expiry int
}

func newFake(t *testing.T, scheme string, tls bool) *fake {
	t.Helper()
	f := &fake{scheme: scheme, expiry: 300}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked = append(f.asked, r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery)
		if r.URL.Path == "/token" {
			f.token(w, r)
			return
		}
		if r.Method != http.MethodHead {
			t.Errorf("%s of %s: only HEAD is wanted", r.Method, r.URL)
		}
		user, password, _ := r.BasicAuth()
		switch {
		case f.scheme == "none", f.scheme == "basic" && user == "u" && password == "p", r.Header.Get("Authorization") == "Bearer good":
			if !strings.HasSuffix(r.URL.Path, "/team/app/manifests/1") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Docker-Content-Digest", "sha256:abc")
		case f.scheme == "basic" && user != "":
			w.WriteHeader(http.StatusForbidden)
		case f.scheme == "basic":
			w.Header().Set("WWW-Authenticate", `Basic realm="x",service="y"`)
			w.WriteHeader(http.StatusUnauthorized)
		case f.scheme == "odd":
			w.Header().Set("WWW-Authenticate", "Negotiate")
			w.WriteHeader(http.StatusUnauthorized)
		case f.scheme == "busy":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="reg, \"io\"",scope="repository:team/app:pull"`, f.URL))
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	if tls {
		f.Server = httptest.NewTLSServer(handler)
	} else {
		f.Server = httptest.NewServer(handler)
	}
	t.Cleanup(f.Close)
	return f
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	user, password, ok := r.BasicAuth()
	if ok && (user != "u" || password != "p") {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"wrong   password"}]}`)
		return
	}
	token := "good"
	if !ok {
		token = "anonymous"
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "expires_in": f.expiry})
}

func (f *fake) host() string {
	return strings.TrimPrefix(strings.TrimPrefix(f.URL, "https://"), "http://")
}

func TestCheck(t *testing.T) {
	good, bad := &Login{"u", "p"}, &Login{"u", "hunter2"}
	tests := []struct {
		name, scheme, path string
		login              *Login
		ok                 bool
		status             int
		message            string
	}{
		{"basic", "basic", "team/app", good, true, 200, "may pull"},
		{"basic, wrong", "basic", "team/app", bad, false, 403, "the login is known, or not, and may not pull this"},
		{"basic, nobody", "basic", "team/app", nil, false, 401, "the registry wants a login"},
		{"token", "bearer", "team/app", good, true, 200, "may pull"},
		{"token, wrong", "bearer", "team/app", bad, false, 401, "the token server HOST refuses: wrong password (401)"},
		{"token, nobody", "bearer", "team/app", nil, false, 401, "the login is refused"},
		{"public", "none", "team/app", nil, true, 200, "may pull"},
		{"public, with a login", "none", "team/app", good, true, 200, "may pull; the registry asked for no login, so this one was not shown"},
		{"no such image", "none", "team/other", nil, false, 404, "no such repository or tag, or not for this login"},
		{"odd", "odd", "team/app", good, false, 401, `the registry wants "negotiate", which no runtime speaks`},
		{"busy", "busy", "team/app", good, false, 429, "too many requests, retry after 7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, tt.scheme, false)
			endpoints, _, err := Endpoints(f.host(), Options{PlainHTTP: true})
			if err != nil {
				t.Fatal(err)
			}
			a := Check(context.Background(), endpoints[0], Image{f.host(), tt.path, "1"}, tt.login)
			if message := strings.ReplaceAll(a.Message, f.host(), "HOST"); a.OK != tt.ok || a.Status != tt.status || message != tt.message {
				t.Errorf("got %v %d %s\nwant %v %d %s", a.OK, a.Status, message, tt.ok, tt.status, tt.message)
			}
			if a.Scheme == "token" && a.TokenLife != 5*time.Minute {
				t.Errorf("token life %s", a.TokenLife)
			}
			if strings.Contains(fmt.Sprintf("%+v", a), "hunter2") {
				t.Errorf("a secret: %+v", a)
			}
		})
	}
}

func TestCheckFaults(t *testing.T) {
	image := Image{"x", "team/app", "1"}
	plain := newFake(t, "none", false)
	// A loopback registry without TLS is asked with http, as runtimes do.
	own := ownOf(plain.host(), Options{})
	if a := Check(context.Background(), own, image, nil); !a.OK || a.Endpoint != plain.URL {
		t.Errorf("%+v", a)
	}
	own.HTTPFallback = false
	if a := Check(context.Background(), own, image, nil); a.OK || a.Message != "http: server gave HTTP response to HTTPS client" {
		t.Errorf("%+v", a)
	}
	// A certificate that nobody trusts, which is taken from this machine's own
	// registry alone, and then one that somebody does.
	secure := newFake(t, "bearer", true)
	trusting := ownOf(secure.host(), Options{})
	if a := Check(context.Background(), trusting, image, &Login{"u", "p"}); !a.OK {
		t.Errorf("%+v", a)
	}
	if a := Check(context.Background(), Endpoint{Base: trusting.Base}, image, &Login{"u", "p"}); a.OK || !strings.Contains(a.Message, "certificate") {
		t.Errorf("%+v", a)
	}
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	if a := Check(context.Background(), ownOf(secure.host(), Options{Roots: roots}), image, &Login{"u", "p"}); !a.OK {
		t.Errorf("%+v", a)
	}
	// Nobody there, and nobody answers in time.
	if a := Check(context.Background(), ownOf("127.0.0.1:1", Options{PlainHTTP: true}), image, nil); a.OK || !strings.Contains(a.Message, "refused") {
		t.Errorf("%+v", a)
	}
	stop := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer slow.Close()
	defer close(stop)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if a := Check(ctx, ownOf(strings.TrimPrefix(slow.URL, "http://"), Options{PlainHTTP: true}), image, nil); a.OK || a.Message != "no answer in time" {
		t.Errorf("%+v", a)
	}
	// A login is not shown to a token server without TLS.
	loose := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+plain.URL+`/token"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer loose.Close()
	roots.AddCert(loose.Certificate())
	a := Check(context.Background(), ownOf(strings.TrimPrefix(loose.URL, "https://"), Options{Roots: roots}), image, &Login{"u", "p"})
	if want := "the registry names a token server without TLS, which is not shown a login here: http://" + plain.host(); a.Message != want {
		t.Errorf("got %s, want %s", a.Message, want)
	}
}

func TestMirrors(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("docker.io/hosts.toml", "server = \"https://docker.io\"\n[host.\"https://z.example.com\"]\n  capabilities = [\"pull\", \"resolve\"]\n[host.\"http://a.example.com:5000/proxy\"]\n  override_path = true\n[host.\"https://push.example.com\"]\n  capabilities = [\"push\"]\n")
	put("reg.io_5000_/hosts.toml", "[host.\"https://m.example.com/path\"]\n")
	put("_default/hosts.toml", "[host.\"d.example.com\"]\nskip_verify = true\n[host.\"d.example.com\".header]\nx-a = [\"1\", \"2\"]\n")
	put("part.io/hosts.toml", "server = \"https://up.part.io\"\ncapabilities = [\"pull\"]\n[host.\"https://r.example.com\"]\n  capabilities = [\"resolve\"]\n[host.\"https://p.example.com\"]\n  capabilities = [\"pull\"]\n")
	put("none.io/hosts.toml", "server = \"https://none.io\"\ncapabilities = [\"push\"]\n")
	put("plain.io/readme", "")
	put("bad.io/hosts.toml", "[host")
	put("odd.io/hosts.toml", "server = \"https://up.odd.io\"\n[host.\"https://m.example.com\"]\n  capabilities = [\"pull\", \"reslove\"]\n")
	put("pair.io/hosts.toml", "[host.\"https://m.example.com\"]\n  client = [[\"a.pem\"]]\n")
	put("slow.io/hosts.toml", "[host.\"https://m.example.com\"]\n  dial_timeout = \"soon\"\n")
	put("head.io/hosts.toml", "[host.\"https://m.example.com\"]\n  header = {x = 1}\n")
	put("empty.io/hosts.toml", "")
	put("only.io/hosts.toml", "server = \"https://up.only.io/\"\n")
	put("own.io/hosts.toml", "skip_verify = true\ncapabilities = [\"push\"]\n")
	put("inline.io/hosts.toml", "host = {\"https://m.example.com\" = {}}\n")
	put("twice.io/hosts.toml", "[host.\"https://a.example.com\"]\n[host.\"https://b.example.com\"]\n[host.\"https://a.example.com\".header]\nx = \"1\"\n")
	put("both.io/hosts.toml", "[host.\"http://m.example.com:5000\"]\n  skip_verify = true\n[host.\"http://m.example.com:80\"]\n  skip_verify = true\n")
	put("noca.io/hosts.toml", "[host.\"https://m.example.com\"]\n  ca = \"none.pem\"\n")
	put("file.io", "")
	list := func(image string) string {
		host, _, digest := strings.Cut(image, "@")
		endpoints, ignored, err := Endpoints(host, Options{HostsDirs: []string{filepath.Join(dir, "none"), dir}, Digest: digest})
		if err != nil {
			return "error: " + strings.ReplaceAll(err.Error(), dir, "DIR")
		}
		var out []string
		if ignored != "" {
			out = append(out, strings.ReplaceAll(ignored, dir, "DIR"))
		}
		for _, e := range endpoints {
			s := e.Base.String()
			if e.Mirror {
				s += " mirror"
			}
			out = append(out, s)
		}
		return strings.Join(out, ", ")
	}
	for host, want := range map[string]string{
		"docker.io":   "https://z.example.com/v2 mirror, http://a.example.com:5000/proxy mirror, https://docker.io/v2",
		"reg.io:5000": "https://m.example.com/path/v2 mirror, https://reg.io:5000/v2",
		"other.io":    "https://d.example.com/v2 mirror, https://other.io/v2",
		"plain.io":    "https://plain.io/v2",
		"bad.io":      "DIR/bad.io/hosts.toml: toml: expected ']' to close table name, https://bad.io/v2",
		"part.io":     "https://r.example.com/v2 mirror",
		"odd.io":      "DIR/odd.io/hosts.toml: host \"https://m.example.com\": capability \"reslove\": there are pull, resolve, push and referrers, https://odd.io/v2",
		"pair.io":     "DIR/pair.io/hosts.toml: host \"https://m.example.com\": client: a pair of 1 files, https://pair.io/v2",
		"slow.io":     "DIR/slow.io/hosts.toml: host \"https://m.example.com\": dial_timeout: time: invalid duration \"soon\", https://slow.io/v2",
		"head.io":     "DIR/head.io/hosts.toml: host \"https://m.example.com\": header \"x\": 1 is neither a string nor a list of strings, https://head.io/v2",
		"empty.io":    "https://empty.io/v2",
		"only.io":     "https://up.only.io/v2 mirror",
		"own.io":      "https://own.io/v2",
		"inline.io":   "https://inline.io/v2",
		"twice.io":    "https://a.example.com/v2 mirror, https://b.example.com/v2 mirror, https://a.example.com/v2 mirror, https://twice.io/v2",
		"both.io":     "https://m.example.com:5000/v2 mirror, http://m.example.com:80/v2 mirror, https://both.io/v2",
		"noca.io":     "error: ca: open DIR/noca.io/none.pem: no such file or directory",
		"file.io":     "error: stat DIR/file.io/hosts.toml: not a directory",
		"none.io":     "error: by its hosts.toml none of the registry's hosts is asked for the image",
		"part.io@":    "https://p.example.com/v2 mirror, https://up.part.io/v2 mirror",
	} {
		if got := list(host); got != want {
			t.Errorf("%s:\n got %s\nwant %s", host, got, want)
		}
	}
	endpoints, _, err := Endpoints("other.io", Options{HostsDirs: []string{dir}})
	if err != nil || !endpoints[0].TLS.InsecureSkipVerify || fmt.Sprint(endpoints[0].Header) != "map[x-a:[1 2]]" {
		t.Errorf("%+v, %v", endpoints[0], err)
	}
	// What one host is trusted with, another is not.
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	put("ca.io/own.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	put("ca.io/hosts.toml", "[host.\"https://a.example.com\"]\n  ca = \"own.pem\"\n[host.\"https://b.example.com\"]\n")
	roots := x509.NewCertPool()
	endpoints, _, err = Endpoints("ca.io", Options{HostsDirs: []string{dir}, Roots: roots})
	if err != nil || !roots.Equal(x509.NewCertPool()) || !endpoints[1].TLS.RootCAs.Equal(roots) || endpoints[0].TLS.RootCAs.Equal(roots) {
		t.Errorf("%+v, %v", endpoints, err)
	}
	// A mirror is told whom it stands for.
	f := newFake(t, "none", false)
	base, err := url.Parse(f.URL + "/v2")
	if err != nil {
		t.Fatal(err)
	}
	Check(context.Background(), Endpoint{Base: base, Mirror: true}, Image{"docker.io", "team/app", "1"}, nil)
	if want := "HEAD /v2/team/app/manifests/1?ns=docker.io"; len(f.asked) != 1 || f.asked[0] != want {
		t.Errorf("asked %q, want %s", f.asked, want)
	}
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/token",service="b",scope="c,d"`)
	f.Add(`Basic realm="x", Bearer realm="\"`)
	f.Add(`Negotiate, Basic`)
	f.Fuzz(func(t *testing.T, header string) {
		for _, c := range parseChallenges([]string{header}) {
			if c.scheme != strings.ToLower(c.scheme) {
				t.Errorf("%q", c.scheme)
			}
		}
	})
}

func FuzzParseHosts(f *testing.F) {
	f.Add("server = \"https://x\"\n[host.\"https://y\"]\nca = [\"a\"]\n")
	f.Add("[host]\n[host.\"\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		hosts, err := parseHosts([]byte(text), t.TempDir())
		if err == nil && len(hosts) == 0 {
			t.Error("no host")
		}
	})
}

// ownOf is the registry itself, without a hosts.toml.
func ownOf(host string, o Options) Endpoint {
	endpoints, _, err := Endpoints(host, o)
	if err != nil {
		panic(err)
	}
	return endpoints[0]
}
