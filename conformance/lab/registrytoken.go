//go:build unix

package lab

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// tokenServer gives the registry's tokens to who knows the password. It runs in
// the lab's own process.
type tokenServer struct {
	server *http.Server
	key    *ecdsa.PrivateKey
	chain  []string // x5c: DER in base64
	user   string
	pass   string
}

const tokenService, tokenIssuer = "lab-registry", "lab-tokens"

func (r *Registry) serveTokens(dir string) (string, error) {
	certPEM, keyPEM, err := r.lab.ca.issue(pkix.Name{CommonName: tokenIssuer})
	if err != nil {
		return "", err
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return "", err
	}
	bundle := dir + "/token-ca.crt"
	if err := os.WriteFile(bundle, r.lab.ca.pem, 0o600); err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	s := &tokenServer{
		key: key.(*ecdsa.PrivateKey), user: r.Username, pass: r.Password,
		chain: []string{base64.StdEncoding.EncodeToString(certBlock.Bytes)},
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(ln) }()
	r.tokens = s
	r.lab.own(s)
	return fmt.Sprintf("  token: {realm: \"http://localhost:%d/token\", service: %s, issuer: %s, rootcertbundle: %q}\n", ln.Addr().(*net.TCPAddr).Port, tokenService, tokenIssuer, bundle), nil
}

func (s *tokenServer) stop() error {
	if err := s.server.Close(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP answers GET /token?service=...&scope=repository:NAME:pull,push.
func (s *tokenServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	user, pass, _ := req.BasicAuth()
	if req.Method == http.MethodPost { // OAuth2 password grant
		user, pass = req.FormValue("username"), req.FormValue("password")
	}
	if user != s.user || subtle.ConstantTimeCompare([]byte(pass), []byte(s.pass)) != 1 {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"wrong user name or password"}]}`, http.StatusUnauthorized)
		return
	}
	type access struct {
		Type    string   `json:"type"`
		Name    string   `json:"name"`
		Actions []string `json:"actions"`
	}
	var allowed []access
	_ = req.ParseForm()
	for _, scope := range req.Form["scope"] {
		for _, one := range strings.Fields(scope) {
			kind, rest, _ := strings.Cut(one, ":")
			if i := strings.LastIndexByte(rest, ':'); i > 0 {
				allowed = append(allowed, access{kind, rest[:i], strings.Split(rest[i+1:], ",")})
			}
		}
	}
	now := time.Now()
	token, err := s.sign(map[string]any{
		"iss": tokenIssuer, "aud": tokenService, "sub": user, "jti": newUUID(),
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"access": allowed,
	})
	if err != nil {
		http.Error(w, "signing failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "access_token": token, "expires_in": 300})
}

func (s *tokenServer) sign(claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": s.chain})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	rr, ss, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", err
	}
	sig := make([]byte, 64)
	rr.FillBytes(sig[:32])
	ss.FillBytes(sig[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}
