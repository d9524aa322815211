package imagecred_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
)

const head = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n"

const good = head + `- name: ecr
  matchImages:
  - "reg.io"
  defaultCacheDuration: "12h"
  apiVersion: credentialprovider.kubelet.k8s.io/v1
`

// problems writes a config's problems as "CODE line:column message".
func problems(c *imagecred.Config) []string {
	var out []string
	for _, f := range c.Problems {
		out = append(out, fmt.Sprintf("%s %d:%d %s: %s", f.Code, f.Where.Line, f.Where.Column, f.Subject, f.Message))
	}
	return out
}

// TestParse is the kubelet's own rules, each with the place and its refusal.
func TestParse(t *testing.T) {
	tests := []struct {
		name, text string
		version    imagecred.Version
		want       []string
		refusal    string
	}{
		{name: "good", text: good},
		{name: "JSON", text: `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[{"name":"x","matchImages":["reg.io"],"defaultCacheDuration":"0","apiVersion":"credentialprovider.kubelet.k8s.io/v1"}]}`},
		{name: "JSON, trailing", text: `{"kind":"CredentialProviderConfig"}x`,
			want:    []string{`KC201 0:0 config: neither YAML nor JSON: invalid character 'x' after top-level value`},
			refusal: `error decoding config "f": couldn't get version/kind; json parse error: invalid character 'x' after top-level value`},
		{name: "empty", text: "",
			want: []string{"KC202 0:0 config: the file holds no document"}, refusal: `error decoding config "f": Object 'Kind' is missing`},
		{name: "first document empty", text: "---\n# licence\n---\n" + good,
			want:    []string{"KC202 0:0 config: the first document of the file is empty, and the kubelet reads no other"},
			refusal: `error decoding config "f": Object 'Kind' is missing`},
		{name: "tab", text: head + "\t- name: x\n",
			want:    []string{"KC201 4:0 config: neither YAML nor JSON: found character that cannot start any token"},
			refusal: `error decoding config "f": yaml: line 4: found character that cannot start any token`},
		{name: "unknown version", text: strings.Replace(good, "k8s.io/v1\n", "k8s.io/v2\n", 1),
			want:    []string{"KC202 1:13 config: no kubelet knows apiVersion kubelet.config.k8s.io/v2 for kind CredentialProviderConfig"},
			refusal: `error decoding config "f": no kind "CredentialProviderConfig" is registered for version "kubelet.config.k8s.io/v2" in scheme "pkg/credentialprovider/plugin/plugin.go:57"`},
		{name: "old kubelet", text: good, version: 25,
			want: []string{"KC202 1:13 config: apiVersion kubelet.config.k8s.io/v1 is known to kubelets from 1.26 on, and 1.25 is older",
				"KC205 8:15 provider ecr: apiVersion credentialprovider.kubelet.k8s.io/v1 is known to kubelets from 1.26 on, and 1.25 is older"},
			refusal: `error decoding config "f": no kind "CredentialProviderConfig" is registered for version "kubelet.config.k8s.io/v1" in scheme "pkg/credentialprovider/plugin/plugin.go:56"`},
		{name: "kubelet's own config", text: "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n",
			want:    []string{"KC202 2:7 config: kind is KubeletConfiguration, and the kubelet wants CredentialProviderConfig here"},
			refusal: `error decoding config "f": failed to decode "KubeletConfiguration" (wrong Kind)`},
		{name: "unknown field", text: good + "  matchImage: [x]\n",
			want:    []string{`KC201 9:3 config: unknown field "matchImage" in providers[0]`},
			refusal: `error decoding config "f": strict decoding error: unknown field "providers[0].matchImage"`},
		{name: "a wrong type and unknown fields", text: "extra: 1\n" + strings.Replace(good, "  matchImages:", "  matchImage: [x]\n  matchImages:", 1) + "  args: get\n  args: [get]\n  x.y: 1\n  env: [{name: A, val: B}, 7]\n",
			want: []string{
				`KC201 1:1 config: unknown field "extra"`,
				`KC201 6:3 config: unknown field "matchImage" in providers[0]`,
				`KC201 12:3 config: key "args" is there twice in one mapping`,
				`KC201 13:3 config: unknown field "y" in providers[0].x`,
				`KC201 14:19 config: unknown field "val" in providers[0].env[0]`,
				"KC201 14:28 providers[0].env[1]: is a number, and the kubelet wants a mapping"},
			refusal: `error decoding config "f": json: cannot unmarshal number into Go struct field CredentialProvider.providers.env of type v1.ExecEnvVar`},
		{name: "a wrong type in an older version", text: strings.Replace(good, "k8s.io/v1\n", "k8s.io/v1beta1\n", 1) + "  tokenAttributes: null\n  args: [{}]\n",
			want: []string{
				`KC201 9:3 config: unknown field "tokenAttributes" in providers[0]: tokenAttributes exists in kubelet.config.k8s.io/v1 only`,
				"KC201 10:10 providers[0].args[0]: is a mapping, and the kubelet wants a text"},
			refusal: `error decoding config "f": json: cannot unmarshal object into Go struct field CredentialProvider.providers.args of type string`},
		{name: "case", text: strings.Replace(good, "matchImages", "MatchImages", 1),
			want: []string{`KC201 5:3 config: unknown field "MatchImages" in providers[0]`,
				"KC203 4:3 provider ecr: matchImages is required: without a pattern the provider is asked about no image"},
			refusal: `error decoding config "f": strict decoding error: unknown field "providers[0].MatchImages"`},
		{name: "duplicate key", text: good + "  name: x\n",
			want:    []string{`KC201 9:0 config: key "name" is there twice in one mapping`},
			refusal: "error decoding config \"f\": strict decoding error: yaml: unmarshal errors:\n  line 9: key \"name\" already set in map"},
		{name: "tokenAttributes in v1beta1", text: strings.Replace(good, "k8s.io/v1\n", "k8s.io/v1beta1\n", 1) + "  tokenAttributes: {}\n",
			want: []string{`KC201 9:3 config: unknown field "tokenAttributes" in providers[0]: tokenAttributes exists in kubelet.config.k8s.io/v1 only`,
				"KC208 9:20 provider ecr: serviceAccountTokenAudience is required: who the token is for",
				"KC208 9:20 provider ecr: requireServiceAccount is required",
				"KC208 9:20 provider ecr: cacheType is required from 1.34 on"},
			refusal: `error decoding config "f": strict decoding error: unknown field "providers[0].tokenAttributes"`},
		{name: "number", text: good + "  args: [a, 8080, yes]\n",
			want: []string{"KC201 9:13 providers[0].args[1]: is a number, and the kubelet wants a text",
				"KC201 9:19 providers[0].args[2]: is a boolean, and the kubelet wants a text"},
			refusal: `error decoding config "f": json: cannot unmarshal number into Go struct field CredentialProvider.providers.args of type string`},
		{name: "duration without unit", text: strings.Replace(good, `"12h"`, `"10"`, 1),
			want:    []string{`KC201 7:25 providers[0].defaultCacheDuration: the duration "10" has no unit`},
			refusal: `error decoding config "f": time: missing unit in duration "10"`},
		{name: "bare number as duration", text: strings.Replace(good, `"12h"`, `10`, 1),
			want:    []string{`KC201 7:25 providers[0].defaultCacheDuration: is a number, and the kubelet wants a duration with a unit`},
			refusal: `error decoding config "f": json: cannot unmarshal number into Go struct field CredentialProvider.providers.defaultCacheDuration of type string`},
		{name: "negative duration", text: strings.Replace(good, `"12h"`, `"-1m"`, 1),
			want:    []string{"KC207 7:25 provider ecr: defaultCacheDuration is negative"},
			refusal: `failed to validate credential provider config: providers.defaultCacheDuration: Invalid value: "-1m0s": must be greater than or equal to 0`},
		{name: "nothing", text: head + "- name: x\n",
			want: []string{"KC203 4:3 provider x: apiVersion is required: the version of the plugin's protocol",
				"KC203 4:3 provider x: matchImages is required: without a pattern the provider is asked about no image",
				"KC203 4:3 provider x: defaultCacheDuration is required: how long an answer lasts that says nothing of it"},
			refusal: "failed to validate credential provider config: [providers.apiVersion: Required value, providers.matchImages: Required value: at least 1 item in matchImages is required, providers.defaultCacheDuration: Required value]"},
		{name: "no provider", text: head,
			want:    []string{"KC203 3:11 config: no provider: the kubelet wants at least one"},
			refusal: "failed to validate credential provider config: providers: Required value: at least 1 item in plugins is required"},
		{name: "names", text: strings.Replace(good, "name: ecr", "name: bin/my ecr", 1),
			want: []string{"KC204 4:9 provider bin/my ecr: the name cannot contain '/'", "KC204 4:9 provider bin/my ecr: the name cannot contain spaces"},
			refusal: `failed to validate credential provider config: [providers.name: Invalid value: "bin/my ecr": provider name cannot contain '/', ` +
				`providers.name: Invalid value: "bin/my ecr": provider name cannot contain spaces]`},
		{name: "config's version as plugin's", text: strings.Replace(good, "credentialprovider.kubelet", "kubelet.config", 1),
			want:    []string{`KC205 8:15 provider ecr: apiVersion "kubelet.config.k8s.io/v1" is none of the plugins' protocol, it is the config's own`},
			refusal: `failed to validate credential provider config: providers.apiVersion: Unsupported value: "kubelet.config.k8s.io/v1": supported values: "credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1alpha1", "credentialprovider.kubelet.k8s.io/v1beta1"`},
		{name: "pattern", text: strings.Replace(good, `"reg.io"`, `"busybox:latest"`, 1),
			want:    []string{`KC206 6:5 provider ecr, pattern 1: the pattern is no URL without a scheme: invalid port ":latest" after host`},
			refusal: `failed to validate credential provider config: providers.matchImages: Invalid value: "busybox:latest": match image is invalid: parse "https://busybox:latest": invalid port ":latest" after host`},
		{name: "same name", text: good + strings.TrimPrefix(good, head),
			want:    []string{"KC204 9:9 provider ecr: the name is used twice, first at f:4"},
			refusal: `duplicate provider name "ecr" found in configuration file(s)`},
		{name: "tokens before 1.33", text: good + "  tokenAttributes: {serviceAccountTokenAudience: a, cacheType: Token, requireServiceAccount: true}\n", version: 32,
			want:    []string{"KC210 9:20 provider ecr: tokenAttributes is known to kubelets from 1.33 on, and 1.32 is older"},
			refusal: `error decoding config "f": strict decoding error: unknown field "providers[0].tokenAttributes"`},
		{name: "keys", text: good + "  tokenAttributes: {serviceAccountTokenAudience: a, cacheType: token, requireServiceAccount: false, requiredServiceAccountAnnotationKeys: [a/b/c, d, d], optionalServiceAccountAnnotationKeys: [d]}\n",
			want: []string{
				"KC208 9:139 provider ecr: annotations are required of the service account, and the account itself is not",
				`KC208 9:140 provider ecr: annotation key "a/b/c": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
				`KC208 9:150 provider ecr: annotation key "d" is listed twice`,
				"KC208 9:20 provider ecr: annotation keys are both required and optional: d",
				`KC208 9:64 provider ecr: cacheType "token" is neither Token nor ServiceAccount`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := imagecred.Parse("f", []byte(tt.text), tt.version)
			got := problems(c)
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("problems:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(tt.want, "\n     "))
			}
			if tt.name != "keys" && c.Refusal != tt.refusal {
				t.Errorf("refusal:\n got %s\nwant %s", c.Refusal, tt.refusal)
			}
		})
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func provider(name string) string { return strings.Replace(good, "name: ecr", "name: "+name, 1) }

func TestLoadDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b.yaml", provider("b"))
	write(t, dir, "a.json", provider("a"))
	write(t, dir, ".c.yml", provider("c"))
	write(t, dir, "d.YAML", "not read")
	write(t, dir, "e.yaml.bak", "not read")
	if err := os.Mkdir(filepath.Join(dir, "sub.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := imagecred.Load(context.Background(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range c.Providers {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "c a b" || c.Refusal != "" {
		t.Errorf("providers %q, refusal %q; want c a b", got, c.Refusal)
	}
	if len(c.Ignored) != 3 {
		t.Errorf("ignored %q, want the three others", c.Ignored)
	}
	old, err := imagecred.Load(context.Background(), dir, 33)
	if err != nil {
		t.Fatal(err)
	}
	if got := problems(old); len(got) != 1 || !strings.HasPrefix(got[0], "KC210 0:0 config: the path is a directory, which kubelets read from 1.34 on; 1.33 cannot") {
		t.Errorf("for 1.33: %q", got)
	}
	write(t, dir, "z.yml", provider("a"))
	c, err = imagecred.Load(context.Background(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := problems(c); len(got) != 1 || !strings.Contains(got[0], "the name is used twice, first at ") || c.Refusal != `duplicate provider name "a" found in configuration file(s)` {
		t.Errorf("%q, %q", got, c.Refusal)
	}
}

func TestLoadThousandFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 1000 {
		write(t, dir, fmt.Sprintf("%04d.yaml", i), provider(fmt.Sprintf("p%d", i)))
	}
	c, err := imagecred.Load(context.Background(), dir, 0)
	if err != nil || len(c.Providers) != 1000 || c.Refusal != "" {
		t.Fatalf("%v, %d providers, %q", err, len(c.Providers), c.Refusal)
	}
}

func TestLoadOddFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", good)
	big := filepath.Join(dir, "big.yaml")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(100 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	want := []string{"100 MiB or more, and a credential provider config has at most 4 here"}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling.yaml")); err != nil {
		t.Logf("no symbolic links here, that case is left out: %v", err)
	} else {
		want = append(want, "the link points to nowhere, which does not exist")
	}
	c, err := imagecred.Load(context.Background(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range c.Problems {
		if p.Code != "KC209" || p.Severity != finding.Error {
			t.Errorf("%s %s: %s", p.Code, p.Severity, p.Message)
		}
		got = append(got, p.Message)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(c.Providers) != 1 {
		t.Errorf("%d providers of the good file, want 1", len(c.Providers))
	}
	for path, want := range map[string]string{
		big:                           big + ": 100 MiB or more, and a credential provider config has at most 4 here",
		filepath.Join(dir, "no.yaml"): filepath.Join(dir, "no.yaml") + ": no such file or directory",
	} {
		_, err := imagecred.Load(context.Background(), path, 0)
		var load *imagecred.LoadError
		if !errors.As(err, &load) || runtime.GOOS != "windows" && err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	empty := t.TempDir()
	c, err = imagecred.Load(context.Background(), empty, 0)
	if err != nil || c.Refusal != fmt.Sprintf("no configuration files found in directory %q", empty) {
		t.Errorf("empty directory: %v, %q", err, c.Refusal)
	}
}

func TestSecretsStayInTheFile(t *testing.T) {
	text := good + `  env:
  - name: TOKEN
    value: hunter2
  - name: N
    value: 4711
  args: [--password=hunter2, 5]
` + `- {name: flow, matchImages: ["u:hunter2@reg.io"], env: [{name: X, value: hunter2}], args: ["hunter2"], defaultCacheDuration: 1}
`
	for _, text := range []string{text, strings.ReplaceAll(text, "kind:", "knd:"), text + "  token: hunter2\n"} {
		c := imagecred.Parse("f", []byte(text), 0)
		for _, f := range imagecred.Lint(c, imagecred.LintOptions{}) {
			if strings.Contains(fmt.Sprintf("%+v", f), "hunter2") {
				t.Errorf("%+v", f)
			}
		}
	}
}

func TestLintSays(t *testing.T) {
	text := `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: docker-credential-ecr-login
  matchImages: [reg.io, reg.io, a.reg.io, "*.reg.io", b.reg.io]
  defaultCacheDuration: 0s
  apiVersion: credentialprovider.kubelet.k8s.io/v1
- name: two.exe
  matchImages: [reg.io]
  defaultCacheDuration: 1h
  apiVersion: credentialprovider.kubelet.k8s.io/v1
---
kind: More
`
	var got []string
	for _, f := range imagecred.Lint(imagecred.Parse("f", []byte(text), 0), imagecred.LintOptions{Version: 35}) {
		got = append(got, fmt.Sprintf("%s %s %d:%d %s", f.Code, f.Severity, f.Where.Line, f.Where.Column, f.Message))
	}
	want := []string{
		"KC213 error 13:1 a second YAML document begins here, and the kubelet drops it without a word: it reads the first document of a file only",
		"KC227 info 5:25 the pattern is there twice, first as pattern 1",
		`KC227 info 5:55 pattern 4 "*.reg.io" matches all of this already`,
		"KC233 info 6:25 defaultCacheDuration is 0: unless the plugin's answer says how long it lasts, the plugin runs for every pull",
		"KC212 error 4:9 the name is that of a docker credential helper, which speaks another protocol",
		"KC231 info 4:3 13 forms of ECR host that no pattern covers; images there are pulled without this provider",
		"KC235 warning 8:9 the name ends in .exe, which is right on no node but Windows, where it is not needed",
		"KC228 info 9:17 provider docker-credential-ecr-login has the same pattern: both are asked for each image, and of equal keys in their answers the earlier provider's is tried first",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]imagecred.Version{"1.34": 34, "v1.25.15": 25, "1.33.4+k3s1": 33, "v1.31.0-eks-a1b2": 31} {
		if got, err := imagecred.ParseVersion(text); err != nil || got != want {
			t.Errorf("ParseVersion(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "2.0", "1.", "one", "1.0", "1.99999"} {
		if v, err := imagecred.ParseVersion(text); err == nil {
			t.Errorf("ParseVersion(%q) = %v", text, v)
		}
	}
}
