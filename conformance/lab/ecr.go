//go:build unix

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubecred/kubecred/internal/awsfake"
)

// ECR stands for Amazon's registry on this machine: a stand-in for AWS that gives
// out passwords, a real registry that takes them, and a folder of plugins with
// kubecred-exec and kubecred-aws.
type ECR struct {
	// AWS counts the calls that reach it, and has faults to switch on.
	AWS *awsfake.Server
	// Registry takes the user AWS with the password that AWS gives.
	Registry *Registry
	// BinDir is the kubelet's --image-credential-provider-bin-dir.
	BinDir string
	// CacheDir is where kubecred-exec keeps its cache and its journal.
	CacheDir string

	dir     string
	configs int
}

// ECRRole is the role that service accounts may take for ECR's passwords.
const ECRRole = "arn:aws:iam::" + awsfake.Account + ":role/puller"

// ECRAudience is the audience for which [ECRRole] takes their tokens.
const ECRAudience = "sts.amazonaws.com"

// ECR starts a registry of that kind, a stand-in for AWS that trusts the lab's
// service accounts, and puts the plugins in their folder.
func (l *Lab) ECR(ctx context.Context, auth RegistryAuth) (*ECR, error) {
	dir, err := os.MkdirTemp(l.Dir, "ecr-")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	e := &ECR{BinDir: filepath.Join(dir, "bin"), CacheDir: filepath.Join(dir, "cache"), dir: dir}
	if err := os.Mkdir(e.BinDir, 0o755); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	for _, name := range []string{"kubecred-exec", "kubecred-aws"} {
		path, err := l.Kubecred(ctx, name)
		if err != nil {
			return nil, err
		}
		// kubecred-exec looks for kubecred-aws beside itself, and a link is not it.
		if err := os.Link(path, filepath.Join(e.BinDir, name)); err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
	}
	world := awsfake.Default()
	world.RegistryPassword = newUUID()
	world.Roles = append(world.Roles, awsfake.Role{ARN: ECRRole, WebToken: l.trusts})
	if e.AWS, err = awsfake.Start(world); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	l.own(stopFunc(e.AWS.Close))
	e.Registry, err = l.registry(ctx, auth, "AWS", world.RegistryPassword)
	return e, err
}

type stopFunc func() error

func (f stopFunc) stop() error { return f() }

// trusts asks the API server whose token it is, as STS asks a cluster's issuer.
func (l *Lab) trusts(token string) error {
	answer, err := l.Admin.AuthenticationV1().TokenReviews().Create(context.Background(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{ECRAudience}},
	}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return err
	case !answer.Status.Authenticated:
		return errors.New("the token is not one of this cluster's for " + ECRAudience)
	}
	return nil
}

// Env is what a plugin wants to know of AWS on this node, with the node's own
// keys where node is set.
func (e *ECR) Env(node bool) []string {
	env := append(e.AWS.Env(), "AWS_REGION=eu-west-1", "KUBECRED_CACHE_DIR="+e.CacheDir)
	if node {
		env = append(env, "AWS_ACCESS_KEY_ID="+awsfake.UserKey, "AWS_SECRET_ACCESS_KEY="+awsfake.UserSecret)
	}
	return env
}

// Passwords counts the passwords that were asked for.
func (e *ECR) Passwords() int { return len(e.AWS.Calls("ecr:GetAuthorizationToken")) }

// ECRConfig is a CredentialProviderConfig with kubecred-exec in front of
// kubecred-aws.
type ECRConfig struct {
	Patterns []string
	// Flags are kubecred-aws's after get-credentials.
	Flags []string
	// Env is added to the environment of [ECR.Env].
	Env []string
	// NoNodeKeys leaves the node's own keys out.
	NoNodeKeys bool
	// TokenAttributes are the provider's, nil for none.
	TokenAttributes map[string]any
}

// Config writes a config and returns its path.
func (e *ECR) Config(c ECRConfig) (string, error) {
	entry := map[string]any{
		"name": "kubecred-exec", "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
		"matchImages": c.Patterns, "defaultCacheDuration": "10m",
		"args": append([]string{"image", "--", "kubecred-aws", "get-credentials"}, c.Flags...),
		"env":  envVars(append(e.Env(!c.NoNodeKeys), c.Env...)),
	}
	if c.TokenAttributes != nil {
		entry["tokenAttributes"] = c.TokenAttributes
	}
	e.configs++
	file := filepath.Join(e.dir, fmt.Sprintf("credential-provider-config-%d.json", e.configs))
	return file, writeProviders(file, entry)
}
