package probe

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain is also the plugin that is probed: PROBE_MODE says which kind.
func TestMain(m *testing.M) {
	mode := os.Getenv("PROBE_MODE")
	if mode == "" {
		os.Exit(m.Run())
	}
	var info struct {
		APIVersion string `json:"apiVersion"`
		Spec       struct {
			Interactive bool            `json:"interactive"`
			Cluster     json.RawMessage `json:"cluster"`
		} `json:"spec"`
	}
	if err := json.Unmarshal([]byte(os.Getenv("KUBERNETES_EXEC_INFO")), &info); err != nil || info.Spec.Interactive {
		os.Exit(99)
	}
	version := info.APIVersion
	status := `{"token":"HIDEME"}`
	switch mode {
	case "beta":
		version = "client.authentication.k8s.io/v1beta1"
	case "strict":
		if strings.HasSuffix(version, "v1alpha1") {
			fmt.Fprintln(os.Stderr, "api version: "+version+" is not supported")
			os.Exit(3)
		}
	case "jwt":
		payload := base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1795320000}`))
		status = `{"token":"eyJhbGciOiJub25lIn0.` + payload + `.c2ln"}`
	case "announced":
		status = `{"token":"HIDEME","expirationTimestamp":"2026-11-22T05:00:00Z"}`
	case "text":
		fmt.Println("TOKEN HIDEME")
		os.Exit(0)
	case "nothing":
		os.Exit(0)
	case "fails":
		fmt.Fprintln(os.Stderr, "one\n\ntwo\nno credentials")
		os.Exit(255)
	case "much":
		for {
			if _, err := os.Stdout.Write(make([]byte, 64<<10)); err != nil {
				os.Exit(1)
			}
		}
	case "hangs":
		time.Sleep(time.Hour)
	case "leaves": // a child that holds the output open
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PROBE_MODE=hangs")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			os.Exit(98)
		}
	case "cluster":
		if string(info.Spec.Cluster) != `{"server":"https://c"}` {
			os.Exit(97)
		}
	}
	fmt.Printf(`{"kind":"ExecCredential","apiVersion":%q,"status":%s}`+"\n", version, status)
	os.Exit(0)
}

func plugin(t *testing.T, mode string) Plugin {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Plugin{Path: self, Env: append(os.Environ(), "PROBE_MODE="+mode), Cluster: json.RawMessage(`{"server":"https://c"}`)}
}

func show(results []Result) string {
	var out []string
	for _, r := range results {
		s := r.Asked + " " + string(r.Outcome)
		if r.Version != "" {
			s += " " + r.Version
		}
		if r.Reason != "" {
			s += " (" + r.Reason + ")"
		}
		if r.Stderr != "" {
			s += " [" + r.Stderr + "]"
		}
		if !r.Expires.IsZero() {
			s += fmt.Sprintf(" until %s %v", r.Expires.Format(time.RFC3339), r.Announced)
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func TestAsk(t *testing.T) {
	three := func(s string) string { return "v1 " + s + "\nv1beta1 " + s + "\nv1alpha1 " + s }
	tests := map[string]string{
		"good":      "v1 answered v1\nv1beta1 answered v1beta1\nv1alpha1 answered v1alpha1",
		"cluster":   "v1 answered v1\nv1beta1 answered v1beta1\nv1alpha1 answered v1alpha1",
		"beta":      three("answered v1beta1"),
		"strict":    "v1 answered v1\nv1beta1 answered v1beta1\nv1alpha1 failed (exit status 3) [api version: client.authentication.k8s.io/v1alpha1 is not supported]",
		"announced": "v1 answered v1 until 2026-11-22T05:00:00Z true\nv1beta1 answered v1beta1 until 2026-11-22T05:00:00Z true\nv1alpha1 answered v1alpha1 until 2026-11-22T05:00:00Z true",
		"jwt":       "v1 answered v1 until 2026-11-22T04:00:00Z false\nv1beta1 answered v1beta1 until 2026-11-22T04:00:00Z false\nv1alpha1 answered v1alpha1 until 2026-11-22T04:00:00Z false",
		"nothing":   three("garbled (it printed nothing)"),
		"fails":     three("failed (exit status 255) [two; no credentials]"),
		"much":      three("garbled (it printed more than 1024 KiB)"),
	}
	for mode, want := range tests {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			if got := show(Ask(t.Context(), plugin(t, mode), time.Minute)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	got := show(Ask(t.Context(), plugin(t, "text"), time.Minute))
	if !strings.HasPrefix(got, "v1 garbled (") || strings.Contains(got, "HIDEME") {
		t.Errorf("text: %s", got)
	}
	if got := show(Ask(t.Context(), Plugin{Path: "/nowhere/plugin"}, time.Minute)); got != "v1 not run (it could not be started)" {
		t.Errorf("not there: %s", got)
	}
}

func TestAskEndsWhatHangs(t *testing.T) {
	start := time.Now()
	if got := show(Ask(t.Context(), plugin(t, "hangs"), 300*time.Millisecond)); got != "v1 timed out (no answer within 300ms)" {
		t.Errorf("got %s", got)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	if runtime.GOOS == "windows" {
		t.Skip("no process groups: a child that is left holds its output for a second")
	}
	if got := show(Ask(t.Context(), plugin(t, "leaves"), 20*time.Second)); !strings.HasPrefix(got, "v1 answered v1\n") {
		t.Errorf("a child that is left: %s", got)
	}
}
