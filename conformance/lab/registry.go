//go:build unix

package lab

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/crypto/bcrypt"
)

// RegistryAuth is how a registry wants to be convinced.
type RegistryAuth int

const (
	// Basic is a user name and password with every request (htpasswd).
	Basic RegistryAuth = iota
	// Bearer is a token from a token server, which wants the user name and
	// password (https://distribution.github.io/distribution/spec/auth/token/).
	Bearer
)

// Registry is a real image registry, docker-registry, that gives nothing away
// without its user name and password.
type Registry struct {
	// Host is its address, localhost:PORT; runtimes speak plain HTTP to that.
	Host               string
	Username, Password string

	process *process
	tokens  *tokenServer
	lab     *Lab
}

// Registry starts a registry with a user and a password of its own. It needs the
// package docker-registry, no root.
func (l *Lab) Registry(ctx context.Context, auth RegistryAuth) (*Registry, error) {
	return l.registry(ctx, auth, "puller", newUUID())
}

func (l *Lab) registry(ctx context.Context, auth RegistryAuth, user, password string) (*Registry, error) {
	program, err := findProgram("docker-registry", "docker-registry")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(l.Dir, "registry-")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	r := &Registry{Username: user, Password: password, lab: l}
	var section string
	switch auth {
	case Basic:
		section, err = r.htpasswd(dir)
	case Bearer:
		section, err = r.serveTokens(dir)
	default:
		err = fmt.Errorf("lab: no registry auth %d", auth)
	}
	if err != nil {
		return nil, err
	}
	return r, withFreePorts(func() error { return r.run(ctx, program, dir, section) })
}

func (r *Registry) run(ctx context.Context, program, dir, section string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	r.Host = "localhost:" + strconv.Itoa(port)
	file := dir + "/config.yml"
	config := fmt.Sprintf("version: 0.1\nlog: {level: info, accesslog: {disabled: false}}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: \"127.0.0.1:%d\"}\nauth:\n%s", dir+"/data", port, section)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if r.process, err = r.lab.run(dir[len(r.lab.Dir)+1:], program, "serve", file); err != nil {
		return err
	}
	return r.process.waitFor(ctx, 30*time.Second, func(ctx context.Context) error {
		return getStatus(ctx, fmt.Sprintf("http://127.0.0.1:%d/v2/", port), http.StatusUnauthorized)
	})
}

func (r *Registry) htpasswd(dir string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(r.Password), bcrypt.MinCost)
	if err != nil {
		return "", err
	}
	file := dir + "/htpasswd"
	if err := os.WriteFile(file, []byte(r.Username+":"+string(hash)+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	return fmt.Sprintf("  htpasswd: {realm: lab, path: %q}\n", file), nil
}

// Push puts a small image that only waits into a repository, "team/app:1", and
// returns its full name at the registry's own address.
func (r *Registry) Push(ctx context.Context, repository string) (string, error) {
	full := r.Host + "/" + repository
	ref, err := name.ParseReference(full, name.Insecure)
	if err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	image, err := r.lab.pauseImage(ctx)
	if err != nil {
		return "", err
	}
	auth := &authn.Basic{Username: r.Username, Password: r.Password}
	if err := remote.Write(ref, image, remote.WithAuth(auth), remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("lab: pushing %s: %w", full, err)
	}
	return full, nil
}

// getStatus asks an address and wants one status.
func getStatus(ctx context.Context, url string, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != want {
		return fmt.Errorf("%s answers %s, not %d", url, res.Status, want)
	}
	return nil
}
