package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubecred/kubecred/internal/awsfake"
	"github.com/kubecred/kubecred/internal/cli"
	kubefile "github.com/kubecred/kubecred/kubeconfig"
)

// updateHome is a machine with AWS behind it and a home of its own.
type updateHome struct {
	dir, home string
	env       map[string]string
}

func newUpdateHome(t *testing.T) *updateHome {
	t.Helper()
	aws, err := awsfake.Start(awsfake.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	dir := t.TempDir()
	h := &updateHome{dir: dir, home: filepath.Join(dir, "home"), env: map[string]string{"PATH": filepath.Join(dir, "bin")}}
	// The AWS SDK reads the process's own environment.
	for _, kv := range append(aws.Env(), "AWS_ACCESS_KEY_ID="+awsfake.UserKey, "AWS_SECRET_ACCESS_KEY="+awsfake.UserSecret,
		"AWS_CONFIG_FILE="+filepath.Join(dir, "aws-config"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(dir, "none"), "AWS_REGION=", "AWS_PROFILE=", "AWS_DEFAULT_REGION=") {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"kubecred-exec", "kubecred-aws"} {
		if err := os.WriteFile(filepath.Join(dir, "bin", p), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		_ = os.WriteFile(filepath.Join(dir, "bin", p+".exe"), nil, 0o755)
	}
	config := "[profile ops]\nregion = eu-west-1\naws_access_key_id = " + awsfake.UserKey + "\naws_secret_access_key = " + awsfake.UserSecret + "\n"
	if err := os.WriteFile(filepath.Join(dir, "aws-config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *updateHome) run(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	status = cli.Run(t.Context(), append([]string{"kubecred", "kubeconfig"}, args...), cli.World{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errOut, Home: h.home, Now: time.Now,
		Getenv: func(name string) string { return h.env[name] },
	})
	return status, out.String(), errOut.String()
}

func (h *updateHome) ok(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	status, stdout, stderr := h.run(t, args...)
	if status != 0 {
		t.Fatalf("%q: status %d\n%s%s", args, status, stdout, stderr)
	}
	return stdout, stderr
}

func (h *updateHome) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(certificate-authority-data"?: "?)[A-Za-z0-9+/=]+`).ReplaceAllString(string(data), "${1}CA")
}

const firstConfig = `apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: CA
    server: https://ABCDEF0123456789ABCDEF0123456789.gr7.eu-west-1.eks.amazonaws.com
  name: arn:aws:eks:eu-west-1:123456789012:cluster/demo
contexts:
- context:
    cluster: arn:aws:eks:eu-west-1:123456789012:cluster/demo
    user: arn:aws:eks:eu-west-1:123456789012:cluster/demo
  name: arn:aws:eks:eu-west-1:123456789012:cluster/demo
current-context: "arn:aws:eks:eu-west-1:123456789012:cluster/demo"
users:
- name: arn:aws:eks:eu-west-1:123456789012:cluster/demo
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      args:
      - client
      - --
      - kubecred-aws
      - token
      - --cluster-name
      - demo
      - --region
      - eu-west-1
      command: kubecred-exec
      installHint: see https://github.com/kubecred/kubecred for kubecred-exec and kubecred-aws
      interactiveMode: IfAvailable
`

func TestUpdateMakesAFile(t *testing.T) {
	h := newUpdateHome(t)
	stdout, stderr := h.ok(t, "update", "--cluster-name", "demo", "--region", "eu-west-1")
	file := filepath.Join(h.home, ".kube", "config")
	if d := cmp.Diff(firstConfig, h.read(t, file)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if !strings.HasPrefix(stdout, file+": a new kubeconfig written\n") || stderr != "" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	stdout, _ = h.ok(t, "update", "--cluster-name", "demo", "--region", "eu-west-1")
	if stdout != file+": nothing to change\n" {
		t.Errorf("a second run says %q", stdout)
	}
}

func TestUpdateKeepsWhatIsThere(t *testing.T) {
	h := newUpdateHome(t)
	file := filepath.Join(h.dir, "config")
	old := `# ours
apiVersion: v1
kind: Config
clusters:
-   name: arn:aws:eks:eu-west-1:123456789012:cluster/demo   # demo
    cluster:
        server: https://old.example   # moved
        insecure-skip-tls-verify: true
        tls-server-name: demo.example
# the contexts
contexts:
-   name: arn:aws:eks:eu-west-1:123456789012:cluster/demo
    context: {cluster: arn:aws:eks:eu-west-1:123456789012:cluster/demo, user: arn:aws:eks:eu-west-1:123456789012:cluster/demo, namespace: payments}
-   name: other
    context:
        cluster: other
        user: other
current-context: other # mine
users:
-   name: arn:aws:eks:eu-west-1:123456789012:cluster/demo
    user:
        as: admin
        exec:
            apiVersion: client.authentication.k8s.io/v1alpha1 # old
            command: aws
            args: [--region, eu-west-1, eks, get-token, --cluster-name, demo]
            env:
            - {name: HTTPS_PROXY, value: http://proxy.example}
            provideClusterInfo: false
# the end
`
	want := `# ours
apiVersion: v1
kind: Config
clusters:
-   name: arn:aws:eks:eu-west-1:123456789012:cluster/demo   # demo
    cluster:
        server: https://ABCDEF0123456789ABCDEF0123456789.gr7.eu-west-1.eks.amazonaws.com   # moved
        insecure-skip-tls-verify: false
        tls-server-name: demo.example
        certificate-authority-data: CA
# the contexts
contexts:
-   name: arn:aws:eks:eu-west-1:123456789012:cluster/demo
    context: {cluster: arn:aws:eks:eu-west-1:123456789012:cluster/demo, user: arn:aws:eks:eu-west-1:123456789012:cluster/demo, namespace: payments}
-   name: other
    context:
        cluster: other
        user: other
current-context: arn:aws:eks:eu-west-1:123456789012:cluster/demo # mine
users:
-   name: arn:aws:eks:eu-west-1:123456789012:cluster/demo
    user:
        as: admin
        exec:
            apiVersion: client.authentication.k8s.io/v1 # old
            command: aws
            args: [--region, eu-west-1, eks, get-token, --cluster-name, demo, --output, json]
            env:
            - {name: HTTPS_PROXY, value: http://proxy.example}
            provideClusterInfo: false
            interactiveMode: IfAvailable
            installHint: "install the AWS CLI, 1.24.0 or 2.7.0 at least: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
# the end
`
	if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	update := []string{"update", "--cluster-name", "demo", "--region", "eu-west-1", "--issuer", "aws", "--kubeconfig", file}
	stdout, _ := h.ok(t, append(update, "--dry-run", "--diff")...)
	if !strings.Contains(stdout, "\n+        insecure-skip-tls-verify: false\n") || h.read(t, file) != old {
		t.Errorf("dry run\n%s", stdout)
	}
	h.ok(t, update...)
	if d := cmp.Diff(want, h.read(t, file)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if stdout, _ := h.ok(t, update...); stdout != file+": nothing to change\n" {
		t.Errorf("a second run says %q", stdout)
	}
}

// TestUpdateTwoRoles: each role of a cluster gets a user of its own.
func TestUpdateTwoRoles(t *testing.T) {
	h := newUpdateHome(t)
	file := filepath.Join(h.dir, "config")
	if err := os.WriteFile(file, []byte("# nothing yet"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := []string{"update", "--cluster-name", "demo", "--region", "eu-west-1", "--kubeconfig", file, "--role-arn", "arn:aws:iam::123456789012:role/admin"}
	two := append(one[:len(one)-1:len(one)-1], "arn:aws:iam::123456789012:role/team/viewer", "--alias", "view", "--namespace", "shop")
	three := []string{"update", "--cluster-name", "demo", "--kubeconfig", file, "--profile", "ops", "--issuer", "aws-iam-authenticator"}
	for range 2 {
		h.ok(t, one...)
		h.ok(t, two...)
		h.ok(t, three...)
	}
	f, err := kubefile.Parse(file, []byte(h.read(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:eks:eu-west-1:123456789012:cluster/demo"
	var got []string
	for _, u := range f.Users {
		got = append(got, u.Name.Value+": "+strings.Join(u.Exec.ArgValues(), " "))
	}
	for _, c := range f.Contexts {
		got = append(got, c.Name.Value+" -> "+c.User.Value+" "+c.Namespace.Value)
	}
	want := []string{
		arn + ": client -- kubecred-aws token --cluster-name demo --region eu-west-1 --role-arn arn:aws:iam::123456789012:role/admin",
		arn + "@viewer: client -- kubecred-aws token --cluster-name demo --region eu-west-1 --role-arn arn:aws:iam::123456789012:role/team/viewer",
		arn + "@ops: token -i demo --region eu-west-1",
		arn + " -> " + arn + " ",
		"view -> " + arn + "@viewer shop",
		arn + "@ops -> " + arn + "@ops ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if len(f.Clusters) != 1 || !strings.HasPrefix(string(f.Data), "# nothing yet\n") {
		t.Errorf("the file\n%s", f.Data)
	}
	if u := f.Users[2].Exec; len(u.Env) != 1 || u.Env[0].Value.Value != "ops" {
		t.Errorf("env %+v", u.Env)
	}
}

func TestUpdateAllClustersAndOutposts(t *testing.T) {
	h := newUpdateHome(t)
	file := filepath.Join(h.dir, "config.json")
	if err := os.WriteFile(file, []byte("{\n\t\"kind\": \"Config\",\n\t\"users\": []\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.ok(t, "update", "--all-clusters", "--region", "eu-west-1", "--kubeconfig", file, "--issuer", "aws")
	h.ok(t, "update", "--cluster-name", "outpost", "--region", "us-west-2", "--kubeconfig", file, "--absolute", "--user-alias", "me", "--alias", "out")
	f, err := kubefile.Parse(file, []byte(h.read(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Users) != 3 || len(f.Clusters) != 3 || len(f.Contexts) != 3 || f.CurrentContext.Value != "out" || f.Data[0] != '{' {
		t.Fatalf("the file\n%s", f.Data)
	}
	u := f.Users[2]
	if got := strings.Join(u.Exec.ArgValues(), " "); u.Name.Value != "me" || got != "client -- kubecred-aws token --cluster-id 0a1b2c3d-4e5f-6789-abcd-ef0123456789 --region us-west-2" {
		t.Errorf("user %s: %s", u.Name.Value, got)
	}
	if got := strings.TrimSuffix(u.Exec.Command.Value, ".exe"); got != filepath.Join(h.dir, "bin", "kubecred-exec") {
		t.Errorf("command %s", got)
	}
	if stdout, _ := h.ok(t, "update", "--all-clusters", "--region", "eu-west-1", "--kubeconfig", file, "--issuer", "aws"); stdout != file+": nothing to change\n" {
		t.Errorf("a second run says %q", stdout)
	}
}

func TestUpdateRefuses(t *testing.T) {
	h := newUpdateHome(t)
	broken := filepath.Join(h.dir, "broken")
	token := filepath.Join(h.dir, "token")
	for name, text := range map[string]string{broken: "users:\n- name: \"x", token: "users:\n- name: me\n  user: {token: abcdefghij}\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	demo := []string{"--cluster-name", "demo", "--region", "eu-west-1"}
	tests := []struct {
		args []string
		want string
	}{
		{nil, "kubecred: which cluster? give --cluster-name, or --all-clusters\n"},
		{[]string{"--cluster-name", "a", "--all-clusters"}, "kubecred: --cluster-name and --all-clusters exclude each other\n"},
		{[]string{"--all-clusters", "--alias", "a"}, "kubecred: --alias and --user-alias name one cluster: leave them out with --all-clusters\n"},
		{append(demo, "--issuer", "x"), "kubecred: --issuer \"x\": use one of kubecred, aws, aws-iam-authenticator\n"},
		{append(demo, "--role-arn", "admin"), "kubecred: --role-arn \"admin\": an ARN is wanted, arn:aws:iam::ACCOUNT:role/NAME\n"},
		{[]string{"--cluster-name", "demo"}, "kubecred: no AWS region: give --region, or set AWS_REGION or the profile's region\n"},
		{append(demo, "--profile", "nobody"), "kubecred: the AWS profile \"nobody\" is in neither ~/.aws/config nor ~/.aws/credentials: make it with aws configure --profile, or give another --profile\n"},
		{[]string{"--cluster-name", "nowhere", "--region", "eu-west-1"}, "kubecred: no cluster \"nowhere\" in eu-west-1: see aws eks list-clusters --region eu-west-1\n"},
		{append(demo, "--kubeconfig", broken), "kubecred: " + broken + ": line 2: not valid YAML: a quoted text that is never closed: the file may be cut off (nothing was changed)\n"},
		{append(demo, "--kubeconfig", token, "--user-alias", "me"), "kubecred: " + token + ": line 2, column 3: user me is there and has no exec block: give another name with --user-alias (nothing was changed)\n"},
	}
	for _, tt := range tests {
		status, stdout, stderr := h.run(t, append([]string{"update"}, tt.args...)...)
		if status != 2 || stdout != "" || stderr != tt.want {
			t.Errorf("%q: status %d, stdout %q, stderr\n%swant\n%s", tt.args, status, stdout, stderr, tt.want)
		}
	}
}
