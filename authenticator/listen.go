package authenticator

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
)

// Listen listens on HOST:PORT. With reuse, where the system knows it (Linux),
// a second server may listen on the same address: a new one takes over before
// the old one ends, so that no moment is without.
func Listen(ctx context.Context, address string, reuse bool) (net.Listener, error) {
	var c net.ListenConfig
	if reuse {
		c.Control = reusePort
	}
	return c.Listen(ctx, "tcp", address)
}

// WebhookKubeconfig is the file that the API server's flag
// --authentication-token-webhook-config-file names: where the webhook is and
// by which certificate it is known.
func WebhookKubeconfig(hostPort string, ca []byte) []byte {
	return fmt.Appendf(nil, strings.TrimPrefix(`
apiVersion: v1
kind: Config
clusters:
- name: kubecred-authenticator
  cluster:
    server: https://%s/authenticate
    certificate-authority-data: %s
users:
- name: apiserver
contexts:
- name: webhook
  context:
    cluster: kubecred-authenticator
    user: apiserver
current-context: webhook
`, "\n"), hostPort, base64.StdEncoding.EncodeToString(ca))
}
