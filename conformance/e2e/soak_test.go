//go:build unix

package e2e

import (
	"os/exec"
	"testing"
	"time"
)

// TestWebhookSoak is the short form of what `authbench -soak 10m` does: reviews
// at a steady rate while STS fails in every way, none of them answered wrongly,
// and memory that does not grow.
func TestWebhookSoak(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	own := must[string](t)(shared.Kubecred(ctx, "kubecred"))
	out, err := exec.CommandContext(ctx, "go", "run", "../cmd/authbench", "-kubecred", own, "-soak", "22s", "-rate", "200").CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
