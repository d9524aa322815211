//go:build unix

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
)

const day = 24 * time.Hour

// TestAgedTokens holds what the API server says of a token against what the lab
// says it is: fresh, stale, past its expiry but within the leeway, dead.
func TestAgedTokens(t *testing.T) {
	t.Parallel()
	ctx := within(t, time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	pod, err := shared.Pod(ctx, ns, "client-1", "client")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		age    time.Duration
		status int
		mark   bool
	}{
		{"fresh", time.Minute, 403, false},
		{"just-before-the-warning", 3500 * time.Second, 403, false},
		{"stale", 2 * time.Hour, 403, true},
		{"89-days", 89 * day, 403, true},
		{"in-the-leeway", 90*day + 20*time.Second, 403, true},
		{"dead", 91 * day, 401, false},
	}
	for _, tt := range tests {
		token, err := shared.AgedToken(ctx, pod, tt.age, lab.EKS)
		if err != nil {
			t.Fatal(err)
		}
		agent := tt.name + "-" + ns
		if status := use(ctx, t, token.JWT, agent, "10.0.9.9"); status != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, status, tt.status)
		}
		lines := auditLines(t, agent)
		if lines == "" {
			t.Errorf("%s: no audit event", tt.name)
		}
		mark := fmt.Sprintf("subject: system:serviceaccount:%s:client, seconds after warning threshold: ", ns)
		if strings.Contains(lines, mark) != tt.mark {
			t.Errorf("%s: mark in the audit log: %v, want %v:\n%s", tt.name, !tt.mark, tt.mark, lines)
		}
		if tt.status != 401 && !strings.Contains(lines, "JTI="+token.ID) {
			t.Errorf("%s: no credential id JTI=%s in:\n%s", tt.name, token.ID, lines)
		}
	}
}

// use makes one request with a token, as a client that names itself and says
// where it comes from, and returns the status.
func use(ctx context.Context, t *testing.T, token, agent, source string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, shared.URL+"/api/v1/nodes", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", agent)
	req.Header.Set("X-Forwarded-For", source)
	res, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.StatusCode
}

// client trusts the lab's API server and holds no credential.
func client(t *testing.T) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(shared.CAFile)
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("%s: %v", shared.CAFile, err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// auditLines returns the audit events that hold a text. The API server writes
// an event before the answer's end reaches the client.
func auditLines(t *testing.T, text string) string {
	t.Helper()
	data, err := os.ReadFile(shared.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// claimsOf decodes a JWT's claims, without a look at its signature.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no JWT: %d parts", len(parts))
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
