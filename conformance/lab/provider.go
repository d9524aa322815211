//go:build unix

package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ProviderName is the name of the lab's image credential provider.
const ProviderName = "lab-provider"

// Provider is an image credential provider for a kubelet: a plugin in a folder
// of its own that knows one registry's user name and password.
type Provider struct {
	// BinDir is the kubelet's --image-credential-provider-bin-dir.
	BinDir string

	dir   string
	calls string
	env   []map[string]string

	configs int
}

// Provider makes a provider out of the lab's issuer.
func (l *Lab) Provider(ctx context.Context, registry *Registry) (*Provider, error) {
	issuer, err := l.Issuer(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(l.Dir, "provider-")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	p := &Provider{BinDir: filepath.Join(dir, "bin"), dir: dir, calls: filepath.Join(dir, "calls")}
	credentials := filepath.Join(dir, "credentials")
	p.env = envVars([]string{"LAB_CREDENTIALS_FILE=" + credentials, "LAB_CALLS=" + p.calls})
	err = errors.Join(
		os.Mkdir(p.BinDir, 0o755),
		os.WriteFile(credentials, []byte(registry.Username+":"+registry.Password), 0o600),
		os.Symlink(issuer, filepath.Join(p.BinDir, ProviderName)),
	)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return p, nil
}

// Config writes a CredentialProviderConfig with the provider, these patterns,
// and more fields, tokenAttributes say, and returns its path.
func (p *Provider) Config(more map[string]any, patterns ...string) (string, error) {
	entry := map[string]any{
		"name": ProviderName, "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
		"matchImages": patterns, "defaultCacheDuration": "10m", "env": p.env,
	}
	for k, v := range more {
		entry[k] = v
	}
	p.configs++
	file := filepath.Join(p.dir, "credential-provider-config.json")
	if p.configs > 1 {
		file = filepath.Join(p.dir, fmt.Sprintf("credential-provider-config-%d.json", p.configs))
	}
	return file, writeProviders(file, entry)
}

// writeProviders writes a CredentialProviderConfig.
func writeProviders(file string, providers ...any) error {
	return writeJSON(file, map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig", "providers": providers,
	})
}

// envVars writes "NAME=value" as the kubelet's types do.
func envVars(env []string) []map[string]string {
	var out []map[string]string
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		out = append(out, map[string]string{"name": name, "value": value})
	}
	return out
}

// Asked returns what the plugin was asked so far, one request each, as JSON.
func (p *Provider) Asked() ([]string, error) {
	data, err := os.ReadFile(p.calls)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), nil
}
