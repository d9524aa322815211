//go:build unix

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/awsfake"
)

// TestManyImagesAfterARestart starts 200 images of five registries at once, as a
// kubelet that comes up does: AWS is asked once for each registry, and after the
// next restart not at all. Two kubelets on one cache change nothing of that.
func TestManyImagesAfterARestart(t *testing.T) {
	t.Parallel()
	ctx := within(t, 2*time.Minute)
	broker := must[string](t)(shared.Kubecred(ctx, "kubecred-exec"))
	issuer := must[string](t)(shared.Kubecred(ctx, "kubecred-aws"))
	aws := must[*awsfake.Server](t)(awsfake.Start(awsfake.Default()))
	defer aws.Close()
	env := append(aws.Env(), "AWS_ACCESS_KEY_ID="+awsfake.UserKey, "AWS_SECRET_ACCESS_KEY="+awsfake.UserSecret, "KUBECRED_CACHE_DIR="+filepath.Join(t.TempDir(), "cache"))
	const images, registries = 200, 5
	start := func(kubelet string) time.Duration {
		began := time.Now()
		var wg sync.WaitGroup
		for i := range images {
			wg.Go(func() {
				pullOnce(ctx, t, broker, issuer, append(env[:len(env):len(env)], "INVOCATION_ID="+kubelet), ecrHost(fmt.Sprintf("11111111111%d", i%registries)), i)
			})
		}
		wg.Wait()
		return time.Since(began)
	}
	var both sync.WaitGroup // two nodes' worth of processes
	for _, kubelet := range []string{"first", "beside the first"} {
		both.Go(func() { start(kubelet) })
	}
	both.Wait()
	if n := len(aws.Calls()); n != registries {
		t.Errorf("cold, AWS was called %d times, want %d: %+v", n, registries, aws.Calls())
	}
	warm := start("second")
	if n := len(aws.Calls()); n != registries {
		t.Errorf("warm, AWS was called %d more times", n-registries)
	}
	t.Logf("%d warm answers within %s", images, warm.Round(time.Millisecond))
}

func pullOnce(ctx context.Context, t *testing.T, broker, issuer string, env []string, host string, i int) {
	request := credapi.ProviderRequest{Image: fmt.Sprintf("%s/team/app%d", host, i)}.Encode(credapi.ProviderV1)
	out, err := shared.Command(ctx, env, string(request), broker, "image", "--", issuer, "get-credentials")
	if err != nil {
		t.Error(err)
		return
	}
	response, err := credapi.ParseProviderResponse([]byte(out.Stdout))
	if err != nil || out.Status != 0 || response.Auth[host].Password == "" || strings.Contains(out.Stderr, "password") {
		t.Errorf("%v: %s", err, out)
	}
}
