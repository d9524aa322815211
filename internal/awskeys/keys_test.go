package awskeys

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is not plain is left to the SDK, which reads it in full.
func TestNotPlain(t *testing.T) {
	for name, text := range map[string]string{
		"a role":         "[profile x]\nrole_arn = arn:aws:iam::123456789012:role/r\naws_access_key_id = A\naws_secret_access_key = s\n",
		"a process":      "[profile x]\ncredential_process = cat\naws_access_key_id = A\naws_secret_access_key = s\n",
		"twice":          "[profile x]\naws_access_key_id = A\n[profile x]\naws_secret_access_key = s\n",
		"nested":         "[profile x]\naws_access_key_id = A\naws_secret_access_key = s\ns3 =\n  max = 1\n",
		"a comment":      "[profile x]\naws_access_key_id = A # mine\naws_secret_access_key = s\n",
		"no closing":     "[profile x\naws_access_key_id = A\naws_secret_access_key = s\n",
		"half of a pair": "[profile x]\naws_access_key_id = A\n",
		"another's":      "[profile y]\naws_access_key_id = A\naws_secret_access_key = s\n",
		"no pair":        "[profile x]\naws_access_key_id = A\naws_secret_access_key = s\nwords\n",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "config")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		getenv := func(name string) string { return map[string]string{"AWS_CONFIG_FILE": file}[name] }
		if k, _, ok := Static(World{Getenv: getenv, Home: dir}, "x"); ok {
			t.Errorf("%s: %+v", name, k)
		}
	}
}

// Nothing is sure of itself only where nothing at all is said.
func TestNothing(t *testing.T) {
	for _, tt := range []struct {
		environ []string
		config  string
		want    bool
	}{
		{nil, "", true},
		{[]string{"AWS_REGION=eu-west-1", "AWS_PROFILE=", "PATH=/bin", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://x"}, "[default]\nregion = eu-west-1\n", true},
		{[]string{"AWS_PROFILE=x"}, "", false},
		{[]string{"aws_profile=x"}, "", false},
		{[]string{"AWS_ROLE_ARN=x"}, "", false},
		{[]string{"AWS_SOMETHING_NEW=x"}, "", false},
		{[]string{"AWS_USE_FIPS_ENDPOINT=yes"}, "", false},
		{nil, "[default]\nsso_session = x\n", false},
		{nil, "[default]\naws_access_key_id = A\naws_secret_access_key = s\n", false},
		{nil, "[default]\naws_access_key_id = A\n", false},
		{nil, "[default", false},
		{nil, "[profile other]\nrole_arn = x\n", true},
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, ".aws"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".aws", "config"), []byte(tt.config), 0o600); err != nil {
			t.Fatal(err)
		}
		getenv := func(name string) string {
			for _, v := range tt.environ {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value
				}
			}
			return ""
		}
		if _, ok := Nothing(World{Getenv: getenv, Home: dir}, tt.environ); ok != tt.want {
			t.Errorf("%q, %q: %v", tt.environ, tt.config, ok)
		}
	}
}

func FuzzSection(f *testing.F) {
	f.Add("[default]\naws_access_key_id = A\naws_secret_access_key=s\n")
	f.Add("[default\n")
	f.Add("[default]\r\n x = y\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		section, ok := readSection(file, func(name string) bool { return name == "default" })
		for name, value := range section {
			if ok && (strings.ContainsAny(name+value, "\n") || strings.TrimSpace(name) != name || strings.TrimSpace(value) != value) {
				t.Errorf("%q: %q = %q", text, name, value)
			}
		}
	})
}
