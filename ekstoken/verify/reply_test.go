package verify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
)

// FuzzReply reads answers in both ways: what usualHeader takes, http.ReadResponse
// reads alike, and leaves the same bytes.
func FuzzReply(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\nx-amzn-RequestId: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nDate: Sun, 22 Nov 2026 04:13:00 GMT\r\n\r\n"
	for _, text := range []string{
		ok + "{}", ok + "{", ok + "{}HTTP/1.1 200 OK\r\n", strings.Replace(ok, "200 OK", "429 x", 1) + "{}", strings.Replace(ok, "200 OK", "200", 1) + "{}",
		strings.Replace(ok, "Date: ", "Retry-After: 3\r\nDate: ", 1) + "{}",
		strings.Replace(ok, "Length: 2", "Length: 2\r\nContent-Length: 2", 1) + "{}",
		strings.Replace(ok, "Length: 2", "Length: +2", 1) + "{}", strings.Replace(ok, "Length: 2", "Length: ", 1) + "{}",
		strings.Replace(ok, "Content-Length: 2", "Transfer-Encoding: chunked", 1) + "2\r\n{}\r\n0\r\n\r\n",
		strings.Replace(ok, "Date", "Connection: close\r\nDate", 1) + "{}", strings.Replace(ok, "Date:", " Date:", 1) + "{}",
		strings.Replace(ok, "Date:", "Date :", 1) + "{}", strings.Replace(ok, "\r\n", "\n", -1) + "{}", "HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 100 x\r\n\r\n" + ok + "{}", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 2000\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 3<<10 {
			return
		}
		quick, slow := bufio.NewReader(bytes.NewReader(text)), bufio.NewReader(bytes.NewReader(text))
		_, _ = quick.Peek(1)
		r, last, err := readReply(quick)
		resp, body, slowErr := readResponse(slow, nil)
		if err != nil || slowErr != nil {
			if (err == nil) != (slowErr == nil) {
				t.Fatalf("%v and %v", err, slowErr)
			}
			return
		}
		if r.status != resp.StatusCode || r.contentType != resp.Header.Get("Content-Type") || r.retryAfter != resp.Header.Get("Retry-After") || last != resp.Close {
			t.Fatalf("got %+v and %+v", r, resp)
		}
		if !bytes.Equal(r.body, body) || quick.Buffered() != slow.Buffered() {
			t.Fatalf("the bodies are %q and %q, left are %d and %d", r.body, body, quick.Buffered(), slow.Buffered())
		}
	})
}

// FuzzUsualAnswer holds that encoding/json reads alike what usualAnswer takes.
func FuzzUsualAnswer(f *testing.F) {
	const usual = `{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"123456789012","Arn":"arn:aws:iam::123456789012:user/alice","UserId":"AIDA"},"ResponseMetadata":{"RequestId":"c6104cbe"}}}`
	if a, ok := usualAnswer([]byte(usual)); !ok || a != (answer{"123456789012", "arn:aws:iam::123456789012:user/alice", "AIDA"}) {
		f.Fatalf("got %+v, %v", a, ok)
	}
	f.Add([]byte(usual))
	for _, odd := range [][2]string{
		{`"}}}`, `"}}} `}, {`"}}}`, `"}}}}`}, {`"}}}`, `"},"Error":{"Code":"x"}}`}, {`c6104cbe`, `\"}}}`}, {`c6104cbe`, `"},"x":{"y":"`}, {`c6104cbe`, ``},
		{`,"UserId":"AIDA"`, ``}, {`"Arn":"arn:aws:iam::123456789012:user/alice",`, ``}, {`"Account":"123456789012",`, ``}, {`"Account":"123456789012"`, `"Account":""`},
		{`"AIDA"`, `"AIDA","UserId":"AROA"`}, {`"AIDA"`, `"AIDA","arn":"x"`}, {`"AIDA"`, `"AIDA","x":"y"`}, {`"AIDA"`, `7`}, {`"AIDA"`, `null`}, {`"AIDA"`, `"A\u0049DA"`},
		{`"AIDA"`, "\"A\x00\""}, {`"AIDA"`, "\"A\x7f\""}, {`"AIDA"`, `"é"`}, {`"Arn"`, `"arn"`}, {`"Arn"`, ` "Arn"`}, {`"123456789012","Arn"`, `"1","Account":"2","Arn"`},
		{`,"ResponseMetadata":{"RequestId":"c6104cbe"}`, ``}, {`"ResponseMetadata"`, `"GetCallerIdentityResult"`},
	} {
		text := strings.Replace(usual, odd[0], odd[1], 1)
		if text == usual {
			f.Fatalf("%q is not there", odd[0])
		}
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, ok := usualAnswer(body)
		if !ok {
			return
		}
		var e envelope
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatal(err)
		}
		if e.GetCallerIdentityResponse.GetCallerIdentityResult != a || e.Error.Code != "" {
			t.Fatalf("got %+v, encoding/json %+v", a, e)
		}
	})
}

func TestUsualHeader(t *testing.T) {
	in := "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/xml\r\ncontent-length: 5\r\nRetry-After: 2\r\nX-Amzn-RequestId: x\r\n\r\n"
	r, size, length, ok := usualHeader([]byte(in + "abcde"))
	if !ok || size != len(in) || length != 5 || r.status != 429 || r.contentType != "text/xml" || r.retryAfter != "2" {
		t.Errorf("got %+v, %d, %d, %v", r, size, length, ok)
	}
}

// TestWritten compares with the request that net/http writes.
func TestWritten(t *testing.T) {
	v, err := New(Options{ClusterIDs: []string{"demo"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := v.Check(sign(t, ekstoken.Credentials{AccessKeyID: alice.AccessKeyID, SecretAccessKey: alice.SecretAccessKey, SessionToken: "a+/="}, "demo"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodGet, token.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"User-Agent": {"kubecred"}, "X-K8s-Aws-Id": {"demo"}, "Accept": {"application/json"}}
	var want bytes.Buffer
	if err := req.Write(&want); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(written(token, "demo"))))
	if err != nil {
		t.Fatal(err)
	}
	same, err := http.ReadRequest(bufio.NewReader(&want))
	if err != nil {
		t.Fatal(err)
	}
	if got.RequestURI != same.RequestURI || got.Host != same.Host || len(got.Header) != 3 || got.Header.Get("X-K8s-Aws-Id") != "demo" ||
		got.Header.Get("Accept") != same.Header.Get("Accept") || got.UserAgent() != same.UserAgent() {
		t.Errorf("got %+v, want %+v", got, same)
	}
	for _, bad := range []string{" ", "\u00e9", "\x7f"} {
		odd := token
		odd.URL += bad
		if got := written(odd, "demo"); got != nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

// TestOddURL verifies a token whose URL is left to net/http to write.
func TestOddURL(t *testing.T) {
	_, base := fake(t)
	v, err := New(Options{ClusterIDs: []string{"demo"}, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	token, err := v.Check(sign(t, alice, "demo"))
	if err != nil {
		t.Fatal(err)
	}
	token.URL = strings.Replace(token.URL, "https://", "HTTPS://", 1)
	id, err := v.Ask(t.Context(), token)
	if err != nil || id.ExpiresAt.Before(time.Now()) || id.Account == "" {
		t.Errorf("%+v, %v", id, err)
	}
}
