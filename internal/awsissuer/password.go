package awsissuer

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/kubecred/kubecred/internal/awsecr"
)

// Identity says who asks ECR for a password.
type Identity string

// The identities. Without one it is the pod's where the kubelet sends a service
// account token, and the node's where it does not.
const (
	Pod         Identity = "pod"
	Node        Identity = "node"
	PodThenNode Identity = "pod-then-node"
)

// RoleAnnotation is the annotation of a service account by which its role is
// named, as for cloud-provider-aws.
const RoleAnnotation = "eks.amazonaws.com/ecr-role-arn"

// PasswordRequest asks for the password of a registry.
type PasswordRequest struct {
	Source
	Image string
	// Token and Annotations are those of the pod's service account.
	Token       string
	Annotations map[string]string
	Identity    Identity
	Aliases     []awsecr.Alias
	// Tried is a first attempt to ask ECR with the node's identity, nil for none.
	Tried *awsecr.Attempt
}

// Password is what a registry takes.
type Password struct {
	// Host is the one that the image names.
	Host               string
	Username, Password string
	// Keep is how long it may be kept.
	Keep time.Duration
	// Warning is something a person should know, or "".
	Warning string
}

// RegistryPassword gets a password for the registry of an image. A host that is
// not one of Amazon ECR, and that no alias maps to one, is refused before AWS is
// asked: a password of ECR is good for all registries of the account, and nobody
// else's host may see it.
func RegistryPassword(ctx context.Context, w World, r PasswordRequest) (Password, error) {
	host := awsecr.ImageHost(r.Image)
	registry, ok := awsecr.RegistryOf(host, r.Aliases)
	if !ok {
		return Password{}, &Error{
			Problem: fmt.Sprintf("%.100q is no registry of Amazon ECR, so it gets no password", host),
			Hint:    "Leave it out of matchImages, or map it with --host where it stands for one",
		}
	}
	identity, err := r.identity()
	if err != nil {
		return Password{}, err
	}
	p, err := registryPassword(ctx, w, r, registry, identity)
	if err != nil && identity == PodThenNode && ctx.Err() == nil {
		why := err
		if p, err = registryPassword(ctx, w, r, registry, Node); err == nil {
			p.Warning = "the pod's own identity failed, and the node's was taken as --identity says: " + why.Error()
		}
	}
	p.Host = host
	return p, err
}

func (r PasswordRequest) identity() (Identity, error) {
	switch r.Identity {
	case "":
		if r.Token != "" {
			return Pod, nil
		}
		return Node, nil
	case Pod:
		if r.Token == "" {
			return "", &Error{
				Problem: "--identity pod, and the kubelet sent no service account token",
				Hint:    "Set tokenAttributes in the provider's config (apiVersion v1)",
			}
		}
	}
	return r.Identity, nil
}

func registryPassword(ctx context.Context, w World, r PasswordRequest, registry awsecr.Registry, identity Identity) (Password, error) {
	src := r.Source
	_, src.Region = registry.Service()
	if identity != Node {
		src.Roles = nil // the pod's role is assumed with its token
	} else if c, s, ok := direct(w, src, registry); ok {
		c.tried = r.Tried
		p, err := (&loaded{clock: c.clock}).ask(ctx, w, src, registry, c, s)
		return readPassword(p, err, w.Now().Add(c.clock.offset()))
	}
	l, err := load(ctx, w, src)
	if err != nil {
		return Password{}, err
	}
	if identity != Node {
		if err := l.becomePod(w, r); err != nil {
			return Password{}, err
		}
	}
	tried := r.Tried
	if identity != Node {
		tried = nil // that was another's
	}
	p, err := l.password(ctx, w, src, registry, tried)
	return readPassword(p, err, w.Now().Add(l.clock.offset()))
}

// readPassword makes a password of an answer, given the time by AWS's clock.
func readPassword(answer awsecr.Password, err error, now time.Time) (Password, error) {
	if err != nil {
		return Password{}, err
	}
	return Password{Username: answer.Username, Password: answer.Password, Keep: answer.Keep(now)}, nil
}

// becomePod makes the credentials those of the role that the service account
// names, got with the pod's own token.
func (l *loaded) becomePod(w World, r PasswordRequest) error {
	role := r.Annotations[RoleAnnotation]
	if role == "" && len(r.Roles) > 0 {
		role = r.Roles[0]
	}
	role = cmp.Or(role, w.Getenv("AWS_ECR_ROLE_ARN"))
	switch {
	case r.Token == "":
		return &Error{Problem: "the kubelet sent no service account token", Hint: "Set tokenAttributes in the provider's config (apiVersion v1)"}
	case role == "":
		return &Error{
			Problem: "no role for the service account: it has no annotation " + RoleAnnotation + ", and no --role-arn is given",
			Hint:    "Annotate it, list the annotation in tokenAttributes, or take --identity node",
		}
	}
	l.Credentials = aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(l.Config), role, podToken(r.Token), func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName = cmp.Or(r.SessionName, sessionName(r.Token))
	}))
	return nil
}

type podToken string

func (t podToken) GetIdentityToken() ([]byte, error) { return []byte(t), nil }

// sessionName names the account in AWS's own log: kubecred-NAMESPACE-ACCOUNT, in
// the characters and the length that STS allows.
func sessionName(token string) string {
	name := "kubecred"
	parts := strings.Split(token, ".")
	if len(parts) == 3 {
		var claims struct {
			Subject string `json:"sub"`
		}
		if payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "=")); err == nil && json.Unmarshal(payload, &claims) == nil {
			if account, ok := strings.CutPrefix(claims.Subject, "system:serviceaccount:"); ok {
				name += "-" + strings.ReplaceAll(account, ":", "-")
			}
		}
	}
	name = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("+=,.@_-", r) {
			return r
		}
		return '-'
	}, name)
	return name[:min(len(name), 64)]
}
