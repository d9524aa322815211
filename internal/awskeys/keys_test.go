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
