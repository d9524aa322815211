//go:build unix

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubecred/kubecred/conformance/wait"
	"github.com/kubecred/kubecred/internal/cluster"
)

// TestFateIsWhatTheCleanerDoes lets the real cleaner of token secrets look once
// at secrets of every kind, with a period of a second, and holds what it does
// against what kubecred says it will do.
func TestFateIsWhatTheCleanerDoes(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	const period = time.Second
	tracked := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	today := time.Now().UTC().Truncate(day)
	old := time.Date(2021, 5, 5, 0, 0, 0, 0, time.UTC)
	secrets := []cluster.LegacyToken{
		{Name: "never-used", Auto: true},
		{Name: "used-long-ago", Auto: true, LastUsed: old},
		{Name: "used-today", Auto: true, LastUsed: today},
		{Name: "used-yesterday", Auto: true, LastUsed: today.Add(-day)},
		{Name: "by-hand", LastUsed: old},
		{Name: "mounted", Auto: true, Mounted: true},
		{Name: "marked-long-ago", Auto: true, LastUsed: old, InvalidSince: old},
		{Name: "marked-today", Auto: true, LastUsed: old, InvalidSince: today},
		{Name: "marked-but-used", Auto: true, LastUsed: today, InvalidSince: old},
		{Name: "marked-and-mounted", Auto: true, Mounted: true, InvalidSince: old},
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "user"}, Spec: corev1.PodSpec{ServiceAccountName: "robot", Containers: []corev1.Container{{Name: "main", Image: "example.com/x:1"}}}}
	for _, s := range secrets {
		if s.Auto {
			account.Secrets = append(account.Secrets, corev1.ObjectReference{Name: s.Name})
		}
		if s.Mounted {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: s.Name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: s.Name}}})
		}
	}
	if _, err := shared.Admin.CoreV1().ServiceAccounts(ns).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, s := range secrets {
		labels := map[string]string{}
		if !s.LastUsed.IsZero() {
			labels["kubernetes.io/legacy-token-last-used"] = s.LastUsed.Format(time.DateOnly)
		}
		if !s.InvalidSince.IsZero() {
			labels["kubernetes.io/legacy-token-invalid-since"] = s.InvalidSince.Format(time.DateOnly)
		}
		made, err := shared.Admin.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: s.Name, Labels: labels, Annotations: map[string]string{corev1.ServiceAccountNameKey: "robot"}},
			Type:       corev1.SecretTypeServiceAccountToken,
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		secrets[i].Created = made.CreationTimestamp.UTC()
	}
	if _, err := shared.Admin.CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// The API server has noted the use of tokens since its start: say that it is
	// longer, or the cleaner would wait.
	const noted = "kube-apiserver-legacy-service-account-token-tracking"
	since := fmt.Sprintf(`{"data":{"since":%q}}`, tracked.Format(time.DateOnly))
	if _, err := shared.Admin.CoreV1().ConfigMaps("kube-system").Patch(ctx, noted, types.MergePatchType, []byte(since), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	wait.For(ctx, 2*period) // so that all of them are older than the period
	runCleaner(ctx, t, period)

	want := map[string]string{}
	for _, s := range secrets {
		fate := cluster.FateOf(s, tracked, period)
		switch now := time.Now(); {
		case !s.InvalidSince.IsZero() && !fate.Deleted.IsZero() && fate.Deleted.Before(now):
			want[s.Name] = "deleted"
		case !s.InvalidSince.IsZero():
			want[s.Name] = "invalid since " + s.InvalidSince.Format(time.DateOnly)
		case !fate.Invalid.IsZero() && fate.Invalid.Before(now):
			want[s.Name] = "invalid since " + today.Format(time.DateOnly)
		default:
			want[s.Name] = "left alone"
		}
	}
	var got map[string]string
	limit, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_ = wait.Until(limit, 200*time.Millisecond, func() bool {
		got = map[string]string{}
		for _, s := range secrets {
			o, err := shared.Admin.CoreV1().Secrets(ns).Get(ctx, s.Name, metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
				got[s.Name] = "deleted"
			case err != nil:
				t.Fatal(err)
			case o.Labels["kubernetes.io/legacy-token-invalid-since"] != "":
				got[s.Name] = "invalid since " + o.Labels["kubernetes.io/legacy-token-invalid-since"]
			default:
				got[s.Name] = "left alone"
			}
		}
		return maps.Equal(got, want)
	}) // what differs is named below
	for _, s := range secrets {
		if got[s.Name] != want[s.Name] {
			t.Errorf("%s: the cleaner's %s, kubecred's %s", s.Name, got[s.Name], want[s.Name])
		}
	}
}

// runCleaner starts the cleaner for the rest of the test. It looks at once, and
// then not again for a day.
func runCleaner(ctx context.Context, t *testing.T, period time.Duration) {
	t.Helper()
	program, err := shared.Program(ctx, "kube-controller-manager")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, "--kubeconfig", shared.AdminKubeconfig, "--controllers", "legacy-serviceaccount-token-cleaner-controller",
		"--legacy-service-account-token-clean-up-period", period.String(), "--leader-elect=false", "--secure-port", "0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
}
