//go:build unix

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// fullProgram builds the program without the init that answers before the SDK has
// started, so that it does all in full.
func fullProgram(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stub := filepath.Join(dir, "init.go")
	if err := os.WriteFile(stub, []byte("package awsquickecr\n\nfunc Taken() Left { return Left{} }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, "internal/awsquickecr/init.go"): stub}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return buildProgram(t, "-overlay", file)
}

func buildProgram(t *testing.T, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "kubecred-aws")
	build := exec.Command("go", append(append([]string{"build", "-o", program}, flags...), ".")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

const ecrImage = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"

func providerRequest(image string) string {
	return `{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"` + image + `"}`
}

// situation is a question with all that it meets.
type situation struct {
	name string
	// quick tells whether it is to be answered before the SDK has started.
	quick bool
	env   []string // FAKE stands for the stand-in's URL, HOME for the home
	// kinder: in full it fails, and after a first try it does not, because what
	// went wrong there went wrong once.
	kinder bool
	https  bool // AWS under its own names, by a proxy
	keys   bool // in the environment, else the instance's role
	files  map[string]string
	args   []string
	stdin  string // "": a request for ecrImage
	set    func(*awsfake.Server)
	// config changes the world.
	config func(*awsfake.Config)
}

var situations = []situation{
	{name: "keys", quick: true, keys: true},
	{name: "keys, HTTPS", quick: true, keys: true, https: true},
	{name: "instance's role", quick: true},
	{name: "instance's role, HTTPS", quick: true, https: true},
	{name: "public", quick: true, https: true, stdin: providerRequest("public.ecr.aws/x/y")},
	{name: "public, dual-stack", quick: true, https: true, stdin: providerRequest("ecr-public.aws.com/x")},
	{name: "FIPS and dual-stack by host", quick: true, https: true, stdin: providerRequest("123456789012.dkr-ecr-fips.us-east-2.on.aws/x")},
	{name: "FIPS by variable", quick: true, https: true, env: []string{"AWS_USE_FIPS_ENDPOINT=true"}},
	{name: "dual-stack by variable, keys", quick: true, https: true, keys: true, env: []string{"AWS_USE_DUALSTACK_ENDPOINT=TRUE"}},
	{name: "FIPS by profile", quick: true, https: true, files: map[string]string{".aws/config": "[default]\nuse_fips_endpoint = true\n"}},
	{name: "China", quick: true, https: true, stdin: providerRequest("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/x")},
	{name: "v1alpha1", quick: true, keys: true, stdin: strings.Replace(providerRequest(ecrImage), "/v1", "/v1alpha1", 1)},
	{name: "an alias", quick: true, args: []string{"--host", "registry.example.com:5000=123456789012.dkr.ecr.eu-central-1.amazonaws.com"}, stdin: providerRequest("registry.example.com:5000/x")},
	{name: "--identity node with a pod's token", quick: true, keys: true, args: []string{"--identity", "node"}, stdin: strings.Replace(providerRequest(ecrImage), "}", `,"serviceAccountToken":"a.b.c"}`, 1)},
	{name: "keys of a profile", quick: true, args: []string{"--profile", "p"}, files: map[string]string{".aws/credentials": "[p]\naws_access_key_id = " + awsfake.UserKey + "\naws_secret_access_key = " + awsfake.UserSecret + "\n"}},
	{name: "a region of its own in the profile", quick: true, files: map[string]string{".aws/config": "[default]\nregion = us-west-2\noutput = json\n"}},
	{name: "configured endpoints ignored", quick: true, https: true, keys: true, env: []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"}},
	{name: "an endpoint for ECR alone", quick: true, keys: true, env: []string{"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ENDPOINT_URL_ECR=FAKE/"}},
	{name: "not for this host by proxy", quick: true, keys: true, https: true, env: []string{"NO_PROXY=.example.com,10.0.0.0/8"}},
	{name: "clock behind by 90 s", quick: true, set: func(s *awsfake.Server) { s.Skew(90 * time.Second) }},

	{name: "an endpoint with a path", keys: true, env: []string{"AWS_ENDPOINT_URL=FAKE/ecr"}},
	{name: "clock behind by an hour", keys: true, set: func(s *awsfake.Server) { s.Skew(time.Hour) }},
	{name: "clock ahead by an hour", keys: true, set: func(s *awsfake.Server) { s.Skew(-time.Hour) }},
	{name: "no such host", stdin: providerRequest("evil.com/123456789012.dkr.ecr.us-east-1.amazonaws.com/x")},
	{name: "a region that is none", stdin: providerRequest("123456789012.dkr.ecr.moon.amazonaws.com/x")},
	{name: "no request", keys: true, stdin: " "},
	{name: "half a request", keys: true, stdin: `{"kind":"CredentialProviderReq`},
	{name: "a pod's token", keys: true, stdin: strings.Replace(providerRequest(ecrImage), "}", `,"serviceAccountToken":"a.b.c"}`, 1)},
	{name: "--identity pod without a token", keys: true, args: []string{"--identity", "pod"}},
	{name: "a role", keys: true, args: []string{"--role-arn", awsfake.AdminRole}},
	{name: "expired keys", keys: true, env: []string{"AWS_CREDENTIAL_EXPIRATION=2020-01-01T00:00:00Z"}},
	{name: "wrong keys", env: []string{"AWS_ACCESS_KEY_ID=AKIAWRONG", "AWS_SECRET_ACCESS_KEY=x"}},
	{name: "half of the keys", env: []string{"AWS_ACCESS_KEY_ID=AKIAWRONG"}},
	{name: "metadata switched off", env: []string{"AWS_EC2_METADATA_DISABLED=true"}},
	{name: "metadata by version 6", env: []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6"}},
	{name: "no role", config: func(c *awsfake.Config) { c.InstanceRole = awsfake.Role{} }},
	{name: "metadata refuses tokens", set: func(s *awsfake.Server) { s.Fail(awsfake.Fault{Action: "imds:Token", Status: 503}) }},
	{name: "metadata fails once", kinder: true, set: func(s *awsfake.Server) { s.Fail(awsfake.Fault{Action: "imds:Get", Status: 500, Times: 1}) }},
	{name: "metadata hangs up once", kinder: true, set: func(s *awsfake.Server) { s.Fail(awsfake.Fault{Action: "imds:Token", Reset: true, Times: 1}) }},
	{name: "metadata says HTML", set: func(s *awsfake.Server) { s.Fail(awsfake.Fault{Action: "imds:Get", Body: "<html>\n</html>"}) }},
	{name: "metadata says it failed", set: func(s *awsfake.Server) {
		s.Fail(awsfake.Fault{Action: "imds:Get", Body: "node", Times: 1})
		s.Fail(awsfake.Fault{Action: "imds:Get", Body: `{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role"}`})
	}},
	{name: "metadata is slow once", kinder: true, set: func(s *awsfake.Server) {
		s.Fail(awsfake.Fault{Action: "imds:Token", Delay: 700 * time.Millisecond, Times: 1})
	}},
	{name: "the role of a profile", files: map[string]string{".aws/config": "[default]\nrole_arn = " + awsfake.AdminRole + "\nsource_profile = keys\n[profile keys]\naws_access_key_id = " + awsfake.UserKey + "\naws_secret_access_key = " + awsfake.UserSecret + "\n"}},
	{name: "no such profile", env: []string{"AWS_PROFILE=gone"}},
	{name: "no such profile given", args: []string{"--profile", "gone"}},
	{name: "a process", files: map[string]string{".aws/config": "[default]\ncredential_process = false\n"}},
	{name: "a file of no form", files: map[string]string{".aws/config": "[default\nregion"}},
	{name: "web identity", env: []string{"AWS_WEB_IDENTITY_TOKEN_FILE=HOME/token", "AWS_ROLE_ARN=" + awsfake.AdminRole}, files: map[string]string{"token": "web-identity-token"}},
	{name: "Pod Identity", env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=FAKE/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN=container-token"}},
	{name: "a container's role", env: []string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/x"}},
	{name: "a variable that is no switch", env: []string{"AWS_USE_FIPS_ENDPOINT=perhaps"}},
	{name: "a profile's switch that is none", quick: true, files: map[string]string{".aws/config": "[default]\nuse_fips_endpoint = perhaps\n"}},
	{name: "a bundle of its own", keys: true, https: true, env: []string{"AWS_CA_BUNDLE=HOME/gone.pem"}},
	{name: "denied", set: failECR(awsfake.Fault{Code: "AccessDeniedException", Message: "no"})},
	{name: "denied, HTTPS", keys: true, https: true, set: failECR(awsfake.Fault{Code: "AccessDeniedException", Message: "User: arn:aws:iam::1:user/x is not authorized"})},
	{name: "throttled once", set: failECR(awsfake.Fault{Throttle: true, Times: 1})},
	{name: "throttled", keys: true, set: failECR(awsfake.Fault{Throttle: true})},
	{name: "fails once", https: true, set: failECR(awsfake.Fault{Status: 503, Times: 1})},
	{name: "hangs up once", keys: true, set: failECR(awsfake.Fault{Reset: true, Times: 1})},
	{name: "says HTML", keys: true, set: failECR(awsfake.Fault{Body: "<html></html>"})},
	{name: "gives none", keys: true, set: failECR(awsfake.Fault{Body: `{"authorizationData":[]}`})},
	{name: "gives no password", keys: true, set: failECR(awsfake.Fault{Body: `{"authorizationData":[{"authorizationToken":"QVdT"}]}`})},
	{name: "sends elsewhere", keys: true, set: failECR(awsfake.Fault{Redirect: "http://127.0.0.1:1/"})},
}

func failECR(f awsfake.Fault) func(*awsfake.Server) {
	f.Action = "ecr:GetAuthorizationToken"
	return func(s *awsfake.Server) { s.Fail(f) }
}

// What is answered before the SDK has started, and what is left to it, is what the
// program does where all is left to it: the same answers, the same words, the same
// status and the same calls of AWS.
func TestQuickAndFull(t *testing.T) {
	quick, full := buildProgram(t), fullProgram(t)
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var want result
			done := make(chan struct{})
			go func() {
				defer close(done)
				want = s.run(t, full)
			}()
			got := s.run(t, quick)
			<-done
			if s.kinder && want.status != 0 && got.status == 0 {
				return
			}
			if got.status != want.status || got.stderr != want.stderr || got.answer != want.answer {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if strings.Join(got.aws, " ") != strings.Join(want.aws, " ") {
				t.Errorf("calls %q, want %q", got.aws, want.aws)
			}
			if (want.status == 0) != (want.answer != "") {
				t.Errorf("%+v", want)
			}
			if got.sdk == s.quick || !want.sdk {
				t.Errorf("the SDK was started: %v; in full: %v", got.sdk, want.sdk)
			}
		})
	}
}

// result is what became of a run. An answer's life is rounded, for that is chance.
type result struct {
	status         int
	answer, stderr string
	aws            []string // calls but for the metadata's
	sdk            bool
}

func (s situation) run(t *testing.T, program string) result {
	config := awsfake.Default()
	if s.config != nil {
		s.config(&config)
	}
	fake, err := awsfake.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	if s.set != nil {
		s.set(fake)
	}
	home := t.TempDir()
	for name, text := range s.files {
		name = filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GODEBUG=inittrace=1", "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + fake.URL}
	if s.keys {
		env = append(env, "AWS_ACCESS_KEY_ID="+awsfake.UserKey, "AWS_SECRET_ACCESS_KEY="+awsfake.UserSecret)
	}
	if s.https {
		proxy, err := fake.StartProxy()
		if err != nil {
			t.Fatal(err)
		}
		roots := filepath.Join(home, "roots.pem")
		if err := os.WriteFile(roots, proxy.CA, 0o600); err != nil {
			t.Fatal(err)
		}
		env = append(env, "HTTPS_PROXY="+proxy.URL, "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+home)
	} else {
		env = append(env, "AWS_ENDPOINT_URL="+fake.URL)
	}
	for _, v := range s.env {
		env = append(env, strings.NewReplacer("FAKE", fake.URL, "HOME", home).Replace(v))
	}
	stdin := s.stdin
	if stdin == "" {
		stdin = providerRequest(ecrImage)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"get-credentials"}, s.args...)...)
	var out, errs strings.Builder
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(stdin), &out, &errs
	_ = cmd.Run()
	r := result{status: cmd.ProcessState.ExitCode()}
	for line := range strings.Lines(errs.String()) {
		if strings.HasPrefix(line, "init ") {
			r.sdk = r.sdk || strings.HasPrefix(line, "init github.com/aws/aws-sdk-go-v2/service/sts ")
			continue
		}
		r.stderr += strings.NewReplacer(fake.URL, "FAKE", strings.TrimPrefix(fake.URL, "http://"), "FAKE", home, "HOME").Replace(withoutPorts(line))
	}
	for _, c := range fake.Calls() {
		if !strings.HasPrefix(c.Action, "imds:") {
			r.aws = append(r.aws, c.Action+" "+c.Region+" "+strings.Replace(c.Host, strings.TrimPrefix(fake.URL, "http://"), "FAKE", 1))
		}
	}
	if out.Len() > 0 {
		a, err := credapi.ParseProviderResponse([]byte(out.String()))
		if err != nil || !strings.HasSuffix(out.String(), "}\n") {
			t.Fatalf("%q: %v", out.String(), err)
		}
		if life := *a.CacheDuration; life > 0 {
			if life < 9*time.Hour || life > 11*time.Hour {
				t.Errorf("to be kept for %s", life)
			}
			*a.CacheDuration = 10 * time.Hour
		}
		r.answer = string(a.Encode(a.APIVersion))
	}
	return r
}

// withoutPorts leaves the client's own port out of an error, which the system
// chose.
func withoutPorts(line string) string {
	before, after, ok := strings.Cut(line, "read tcp 127.0.0.1:")
	if !ok {
		return line
	}
	_, after, _ = strings.Cut(after, "->")
	return before + "read tcp " + after
}
