//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A token with keys that need no call is printed before the SDK has started,
// and one that needs a call is not. (For passwords, TestQuickAndFull holds that.) The order of initialization is the language's;
// what each of our packages imports is what keeps it (package awsquick).
func TestBeforeTheSDK(t *testing.T) {
	program := buildProgram(t)
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	profile := "[profile keys]\nregion = eu-west-1\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = S3CRETxyz\n"
	if err := os.WriteFile(filepath.Join(home, ".aws", "config"), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := []string{"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=S3CRETxyz"}
	for _, tt := range []struct {
		name, line string
		env        []string
		sdk        bool
		status     int
	}{
		{"environment", "token -i demo", append(keys, "AWS_REGION=eu-west-1"), false, 0},
		{"environment, no region", "token -i demo --token-only", keys, false, 0},
		{"profile", "--profile keys eks get-token --cluster-name demo --output json", nil, false, 0},
		{"help", "--help", keys, true, 0},
		{"what is told on stderr", "token -i demo --cache", keys, true, 0},
		{"a bad request", "token -i demo", append(keys, "KUBERNETES_EXEC_INFO={"), true, 2},
		{"no such profile", "token -i demo --profile gone", keys, true, 2},
		{"a bad region", "token -i demo --region moon", keys, true, 2},
		{"no cluster", "token", keys, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), program, strings.Fields(tt.line)...)
			cmd.Env = append([]string{"HOME=" + home, "AWS_EC2_METADATA_DISABLED=true", "GODEBUG=inittrace=1"}, tt.env...)
			var out, errs strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errs
			_ = cmd.Run()
			if status := cmd.ProcessState.ExitCode(); status != tt.status || (out.Len() > 0) != (tt.status == 0) {
				t.Errorf("status %d, stdout %q", status, out.String())
			}
			for line := range strings.Lines(errs.String()) {
				if strings.HasPrefix(line, "init github.com/aws/aws-sdk-go-v2/service/") && !tt.sdk {
					t.Errorf("the SDK was started first: %s", line)
				}
				if strings.Contains(line, "S3CRETxyz") {
					t.Errorf("a secret on stderr: %s", line)
				}
			}
			if tt.sdk != strings.Contains(errs.String(), "init github.com/aws/aws-sdk-go-v2/service/sts ") {
				t.Errorf("SDK started: %v", !tt.sdk)
			}
		})
	}
}
