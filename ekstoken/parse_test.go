package ekstoken

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzPlainURL holds that net/url takes apart alike what plainURL does, and the
// same of the two that read its parameters.
func FuzzPlainURL(f *testing.F) {
	for _, raw := range []string{
		"https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity", "https://sts.amazonaws.com/?", "https:///?a", "https://a/?b?c", "https://a/?b/?c", "https://a/b/?c",
		"https://a:443/?b", "https://u@a/?b", "https://a/?b#c", "https://a/#?b", "https://a/?b c", "https://a/?b\x7f", "https://a/?é", "https://A/?b", "https://a%41/?b", "https://[::1]/?b",
		"http://a/?b", "HTTPS://a/?b", "https://a/?%zz", "https://a?b", "https://a/", "X-Amz-Date", "X-Amz-D\u212ate", "a%2Fb+c", "%", "+",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if host, query, ok := plainURL(raw); ok {
			u, err := url.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			if u.Scheme != "https" || u.User != nil || u.Path != "/" || u.RawPath != "" || u.Opaque != "" || strings.Contains(raw, "#") || u.Host != host || u.RawQuery != query {
				t.Fatalf("%q, %q and %#v", host, query, u)
			}
		}
		for _, known := range parameters {
			if is(raw, known) != (len(raw) == len(known) && strings.ToLower(raw) == known) {
				t.Fatalf("%q and %q", raw, known)
			}
		}
		value, err := unescape(raw)
		if want, wantErr := url.QueryUnescape(raw); value != want || (err == nil) != (wantErr == nil) {
			t.Fatalf("%q, want %q", value, want)
		}
	})
}
