package awsquickecr

import (
	"os/user"
	"runtime"
	"testing"
)

// A kubelet has no HOME, and the SDK then looks in the user's own home.
func TestHome(t *testing.T) {
	name := "HOME"
	if runtime.GOOS == "windows" {
		name = "USERPROFILE"
	}
	t.Setenv(name, "/somewhere")
	if got := Home(); got != "/somewhere" {
		t.Error(got)
	}
	t.Setenv(name, "")
	want := ""
	if u, err := user.Current(); err == nil {
		want = u.HomeDir
	}
	if got := Home(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
