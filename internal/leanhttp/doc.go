// Package leanhttp makes a few HTTP/1.1 exchanges on a connection of its own, for
// programs that start for one answer and end with it. Package net/http does all
// that and much more; what it links and starts is a good part of such a program's
// time, and nothing that imports it can run before the AWS SDK has started (package
// awsquick).
//
// It knows TLS with the system's roots, HTTPS_PROXY and NO_PROXY, answers of known
// and unknown length, in chunks or not, and bounds on all of them. It follows no
// redirects and keeps nothing. Whoever meets an error here has the same done by
// net/http.
package leanhttp

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Origin is where requests go.
type Origin struct {
	TLS  bool
	Host string // name or address
	Port string
}

// ErrUnusual is met for a URL or a proxy that this package leaves to net/http.
var ErrUnusual = errors.New("not for this package")

// ParseOrigin reads http://HOST[:PORT] or https://HOST[:PORT], perhaps with a
// slash at the end. Anything else is [ErrUnusual].
func ParseOrigin(s string) (Origin, error) {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Hostname() == "" {
		return Origin{}, ErrUnusual
	}
	o := Origin{TLS: u.Scheme == "https", Host: u.Hostname(), Port: u.Port()}
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Port() == "" && u.Host != u.Hostname() && u.Host != "["+u.Hostname()+"]":
		return Origin{}, ErrUnusual
	case !plainHost(o.Host):
		return Origin{}, ErrUnusual
	case o.Port == "" && o.TLS:
		o.Port = "443"
	case o.Port == "":
		o.Port = "80"
	}
	return o, nil
}

// plainHost tells whether a host has only the characters of names and addresses
// in small letters, so that it means the same to everybody.
func plainHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != ':' {
			return false
		}
	}
	return host != ""
}

// Authority is the origin's name in requests: without a port that is the scheme's
// own.
func (o Origin) Authority() string {
	if o.TLS && o.Port == "443" || !o.TLS && o.Port == "80" {
		if net.ParseIP(o.Host).To4() == nil && net.ParseIP(o.Host) != nil {
			return "[" + o.Host + "]"
		}
		return o.Host
	}
	return net.JoinHostPort(o.Host, o.Port)
}

// proxy returns the HTTP proxy for the origin, nil for none. A proxy of another
// kind is ErrUnusual.
func (o Origin) proxy(getenv func(string) string) (*url.URL, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	if getenv("REQUEST_METHOD") != "" { // a CGI program, for which net/http has rules of its own
		return nil, ErrUnusual
	}
	if !o.TLS {
		if first("HTTP_PROXY", "http_proxy") != "" {
			return nil, ErrUnusual
		}
		return nil, nil
	}
	https := first("HTTPS_PROXY", "https_proxy")
	if https == "" {
		return nil, nil
	}
	config := httpproxy.Config{HTTPSProxy: https, NoProxy: first("NO_PROXY", "no_proxy")}
	proxy, err := config.ProxyFunc()(&url.URL{Scheme: "https", Host: net.JoinHostPort(o.Host, o.Port)})
	if err != nil || proxy == nil {
		return nil, err
	}
	if proxy.Scheme != "http" || proxy.Hostname() == "" {
		return nil, ErrUnusual
	}
	return proxy, nil
}

// bound makes reads and writes of c end when ctx does. What it returns takes that
// back.
func bound(ctx context.Context, c net.Conn) (release func()) {
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}
