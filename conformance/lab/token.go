//go:build unix

package lab

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How long API servers extend the life of a pod's token.
const (
	EKS      = 90 * 24 * time.Hour
	Upstream = 365 * 24 * time.Hour
)

// Issuer is the service account issuer, and the audience, of every lab.
const Issuer = "https://kubernetes.default.svc.cluster.local"

// Token is a pod's service account token.
type Token struct {
	JWT string
	// ID is its jti; the audit log says "JTI=" before it.
	ID string
	// IssuedAt, WarnAfter and Expires are its claims, in whole seconds.
	IssuedAt, WarnAfter, Expires time.Time
}

// Dies is the moment from which the API server refuses the token: a minute of
// leeway after its expiry. The API server may remember it for up to 10 s more.
func (t Token) Dies() time.Time { return t.Expires.Add(time.Minute) }

// AgedToken returns the token that the kubelet would have mounted into the pod
// that long ago, on a cluster that extends tokens to profile ([EKS],
// [Upstream]). It is bound to the pod and its account as they are now, so the API
// server takes it as real: it marks each use once the token is older than 3607
// seconds, and refuses it once it is older than profile and a minute.
// The claims are those of k8s.io/kubernetes/pkg/serviceaccount/claims.go.
func (l *Lab) AgedToken(ctx context.Context, pod *corev1.Pod, age, profile time.Duration) (Token, error) {
	account, err := l.Admin.CoreV1().ServiceAccounts(pod.Namespace).Get(ctx, pod.Spec.ServiceAccountName, metav1.GetOptions{})
	if err != nil {
		return Token{}, fmt.Errorf("lab: the account of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	type ref struct {
		Name string `json:"name"`
		UID  string `json:"uid"`
	}
	iat := time.Now().Add(-age).Truncate(time.Second)
	t := Token{IssuedAt: iat, WarnAfter: iat.Add(3607 * time.Second), Expires: iat.Add(profile), ID: newUUID()}
	bound := map[string]any{
		"namespace":      pod.Namespace,
		"serviceaccount": ref{account.Name, string(account.UID)},
		"pod":            ref{pod.Name, string(pod.UID)},
		"warnafter":      t.WarnAfter.Unix(),
	}
	if pod.Spec.NodeName != "" {
		node, err := l.Admin.CoreV1().Nodes().Get(ctx, pod.Spec.NodeName, metav1.GetOptions{})
		switch {
		case err == nil:
			bound["node"] = ref{node.Name, string(node.UID)}
		case !apierrors.IsNotFound(err):
			return Token{}, fmt.Errorf("lab: %w", err)
		}
	}
	t.JWT, err = l.signer.sign(map[string]any{
		"aud": []string{Issuer}, "iss": Issuer, "jti": t.ID,
		"sub": "system:serviceaccount:" + pod.Namespace + ":" + account.Name,
		"iat": iat.Unix(), "nbf": iat.Unix(), "exp": t.Expires.Unix(),
		"kubernetes.io": bound,
	})
	return t, err
}

// signer holds the key of the service accounts.
type signer struct {
	key *rsa.PrivateKey
	id  string
}

func newSigner() (*signer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der) // the key ID that the API server derives
	return &signer{key, base64.RawURLEncoding.EncodeToString(sum[:])}, nil
}

func (s *signer) writeFiles(dir string) error {
	public, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	private := x509.MarshalPKCS1PrivateKey(s.key)
	if err := os.WriteFile(filepath.Join(dir, "sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sa.key"), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

func (s *signer) sign(claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": "RS256", "kid": s.id})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("lab: signing a token: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
