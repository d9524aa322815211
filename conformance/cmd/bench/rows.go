//go:build linux

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kubecred/kubecred/internal/awsfake"
)

// row is one command.
type row struct {
	name    string
	argv    []string // without a program, the row is left out
	stdin   string
	cold    bool // the cache is emptied before each run
	slow    bool // an eighth of the runs
	against []limit

	times []time.Duration
	peak  int64 // bytes
}

func (r *row) median() time.Duration {
	slices.Sort(r.times)
	return r.times[len(r.times)/2]
}

// limit compares a row with another one of its table, and says what is promised:
// the most of the other's time and of its memory, 0 where nothing is.
type limit struct {
	than         string
	time, memory float64
}

// table is a list of rows that are measured in turn and shown together.
type table struct {
	name, title string
	// prepare makes what the rows need beside the programs, and says how to end
	// it.
	prepare func(context.Context, place) (more programs, end func(), err error)
	rows    func(programs) []*row
	// share is the part of the runs that its rows get, 1/share; 0 for all.
	share int
	// after measures what is no row.
	after func(context.Context, place, io.Writer) error
	// env replaces the place's environment, but for what says where AWS is.
	env func(p place, fake *awsfake.Server) ([]string, error)
}

var tables = []table{
	{name: "client", title: "Tokens for the API server", rows: clientRows, after: crowd},
	{name: "profile", title: "Tokens for the API server with a profile that assumes a role, and AWS over HTTPS", rows: profileRows, env: profileEnv},
	{name: "kubectl", title: "A whole kubectl on a real API server", prepare: startLab, rows: kubectlRows, share: 4},
	{name: "image", title: "Passwords for a registry, with keys in the environment and AWS over plain HTTP", rows: imageRows},
	{name: "node", title: "Passwords for a registry as on a node: the keys of the instance's role, and AWS over HTTPS", rows: imageRows, env: nodeEnv},
	{name: "match", title: "Matching, with compiled patterns", after: matching},
}

func tableNames() (names []string) {
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

const (
	word          = "a Go program that prints one word"
	authenticator = "aws-iam-authenticator token"
	withRole      = "aws-iam-authenticator token -r ROLE"
	cli           = "aws eks get-token"
	ecr           = "ecr-credential-provider"
)

func clientRows(p programs) []*row {
	token := []string{p["kubecred-aws"], "token", "--cluster-name", "demo"}
	broker := append([]string{p["kubecred-exec"], "client", "--"}, token...)
	asRole := append(slices.Clip(broker), "--role-arn", awsfake.AdminRole)
	return []*row{
		{name: word, argv: []string{p["word"]}},
		{name: authenticator, argv: []string{p["aws-iam-authenticator"], "token", "-i", "demo"}},
		{name: cli, argv: []string{p["aws"], "eks", "get-token", "--cluster-name", "demo", "--output", "json"}, slow: true},
		{name: "kubecred-exec client, warm", argv: broker, against: []limit{
			{than: word, time: 2, memory: 2}, {than: authenticator, time: 1. / 8}, {than: cli, time: 1. / 200},
		}},
		{name: "kubecred-exec client, cold", argv: broker, cold: true, against: []limit{{than: authenticator, time: 1. / 2}}},
		{name: withRole, argv: []string{p["aws-iam-authenticator"], "token", "-i", "demo", "-r", awsfake.AdminRole}},
		{name: "kubecred-exec client for a role, warm", argv: asRole, against: []limit{{than: withRole, time: 1. / 8}}},
		{name: "kubecred-exec client for a role, cold", argv: asRole, cold: true, against: []limit{{than: withRole}}},
		{name: "kubecred-aws token", argv: token, against: []limit{{than: authenticator}}},
	}
}

// profileRows are what somebody waits for whose AWS_PROFILE names a role.
func profileRows(p programs) []*row {
	token := []string{p["kubecred-aws"], "token", "--cluster-name", "demo"}
	broker := append([]string{p["kubecred-exec"], "client", "--"}, token...)
	return []*row{
		{name: word, argv: []string{p["word"]}},
		{name: authenticator, argv: []string{p["aws-iam-authenticator"], "token", "-i", "demo"}},
		{name: "kubecred-exec client, warm", argv: broker, against: []limit{{than: word, time: 2, memory: 2}, {than: authenticator, time: 1. / 8}}},
		{name: "kubecred-exec client, cold", argv: broker, cold: true, against: []limit{{than: authenticator}}},
		{name: "kubecred-aws token", argv: token, against: []limit{{than: authenticator}}},
	}
}

func imageRows(p programs) []*row {
	const request = `{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"}`
	password := []string{p["kubecred-aws"], "get-credentials"}
	broker := append([]string{p["kubecred-exec"], "image", "--"}, password...)
	return []*row{
		{name: word, argv: []string{p["word"]}},
		{name: ecr, argv: []string{p["ecr-credential-provider"]}, stdin: request},
		{name: "kubecred-exec image, warm", argv: broker, stdin: request, against: []limit{{than: word, time: 2}, {than: ecr, time: 1. / 8}}},
		{name: "kubecred-exec image, cold", argv: broker, stdin: request, cold: true, against: []limit{{than: ecr, time: 0.6}}},
		{name: "kubecred-aws get-credentials", argv: password, stdin: request, against: []limit{{than: ecr}}},
	}
}

// nodeEnv is what a kubelet's plugins find on an instance: no keys, metadata that
// has them, and AWS under its own names.
func nodeEnv(p place, fake *awsfake.Server) ([]string, error) {
	env, err := outside(p, fake)
	return append(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+fake.URL), err
}

// profileEnv is what a person's plugins find: a profile for a role, whose keys
// another one has, and AWS under its own names.
func profileEnv(p place, fake *awsfake.Server) ([]string, error) {
	env, err := outside(p, fake)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(p.dir, ".aws")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"config":      "[profile admin]\nrole_arn = " + awsfake.AdminRole + "\nsource_profile = default\nregion = eu-west-1\n",
		"credentials": "[default]\naws_access_key_id = " + awsfake.UserKey + "\naws_secret_access_key = " + awsfake.UserSecret + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return append(env, "AWS_PROFILE=admin", "AWS_EC2_METADATA_DISABLED=true", execInfo), nil
}

// outside is the environment of a machine that reaches AWS under its own names.
// The certificates that a system trusts are there, too, for reading those is a
// good part of a first call.
func outside(p place, fake *awsfake.Server) ([]string, error) {
	proxy, err := fake.StartProxy()
	if err != nil {
		return nil, err
	}
	trusted := proxy.CA
	for _, bundle := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"} {
		if data, err := os.ReadFile(bundle); err == nil {
			trusted = append(data, trusted...)
			break
		}
	}
	file := filepath.Join(p.dir, "trusted.crt")
	if err := os.WriteFile(file, trusted, 0o600); err != nil {
		return nil, err
	}
	return []string{
		"PATH=" + os.Getenv("PATH"), "AWS_REGION=eu-west-1", "HOME=" + p.dir,
		"HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + file, "SSL_CERT_DIR=" + p.dir + "/none",
	}, nil
}
