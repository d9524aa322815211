package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tlsFiles are the certificates that a host is trusted by, and those that this side
// shows, with their keys. Without a second name the key is in the first file.
type tlsFiles struct {
	certificates []string
	pairs        [][2]string
}

// dockerFiles reads a registry's folder as Docker lays it out: NAME.crt to trust,
// NAME.cert and NAME.key to show.
func dockerFiles(dir string) (hostConfig, error) {
	var h hostConfig
	entries, err := os.ReadDir(dir)
	if err != nil {
		return h, err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch base, isPair := strings.CutSuffix(name, ".cert"); {
		case e.IsDir():
		case strings.HasSuffix(name, ".crt"):
			h.certificates = append(h.certificates, name)
		case isPair:
			key := base + ".key"
			if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
				key = ""
			} else if err != nil {
				return h, err
			}
			h.pairs = append(h.pairs, [2]string{name, key})
		}
	}
	return h, nil
}

// load adds the files to a configuration.
func (f tlsFiles) load(config *tls.Config) error {
	for _, name := range f.certificates {
		pem, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("ca: %w", err)
		}
		if config.RootCAs == nil {
			if config.RootCAs, err = x509.SystemCertPool(); err != nil {
				config.RootCAs = x509.NewCertPool()
			}
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("ca: %s holds no certificate", name)
		}
	}
	for _, pair := range f.pairs {
		key := pair[1]
		if key == "" {
			key = pair[0]
		}
		certificate, err := tls.LoadX509KeyPair(pair[0], key)
		if err != nil {
			return fmt.Errorf("client: %s: %w", pair[0], err)
		}
		config.Certificates = append(config.Certificates, certificate)
	}
	return nil
}
