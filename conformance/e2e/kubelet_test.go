//go:build unix

package e2e

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubecred/kubecred/conformance/lab"
)

// realWorkload is a Deployment whose pods a real kubelet runs: their program
// asks the API server once a second, and reads its token once or again.
func realWorkload(ns, name, node string, again bool) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					NodeName: node, HostNetwork: true, ServiceAccountName: name, TerminationGracePeriodSeconds: ptr.To(int64(2)),
					Containers: []corev1.Container{{
						Name: "main", Image: lab.PauseImage, ImagePullPolicy: corev1.PullNever,
						Args: []string{"-server", shared.URL, "-agent", name + "/" + ns, "-again=" + strconv.FormatBool(again)},
					}},
				},
			},
		},
	}
	if !again {
		c := &d.Spec.Template.Spec
		c.Volumes = []corev1.Volume{{Name: "first", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}}
		c.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "first", MountPath: "/first"}}
		c.Containers[0].Args = append(c.Containers[0].Args, "-first", "/first/token")
	}
	return d
}

// TestRestartOnARealNode: a real kubelet mounts and renews the tokens, runs the
// programs, rolls them and reports their images. Only the first token of the one
// that never reads again is 89 days old; it waits for its pod as a secret.
func TestRestartOnARealNode(t *testing.T) {
	needNode(t)
	t.Parallel()
	ctx := within(t, 4*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, t.Name()))
	node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{Joined: true}))
	defer node.Stop()
	core, deployments := shared.Admin.CoreV1(), shared.Admin.AppsV1().Deployments(ns)
	for _, name := range []string{"never", "rereads"} {
		if err := shared.Grant(ctx, lab.Reader, "system:serviceaccount:"+ns+":"+name); err != nil {
			t.Fatal(err)
		}
		if _, err := core.ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := deployments.Create(ctx, realWorkload(ns, name, node.Name, name == "rereads"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var first *corev1.Pod
	waitFor(t, ctx, "the pod that never reads again is there", func() bool {
		pods, err := core.Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=never"})
		if err == nil && len(pods.Items) == 1 {
			first = &pods.Items[0]
		}
		return first != nil
	})
	old := must[lab.Token](t)(shared.AgedToken(ctx, first, 89*day, lab.EKS))
	secret, err := core.Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "never"}, StringData: map[string]string{"token": old.JWT}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}

	// tokens are those that the log shows of each account.
	tokens := func() map[string][]string {
		var report struct {
			Tokens []struct{ ServiceAccount, CredentialID, Verdict string }
		}
		out := kubecred(t, "tokens", "scan", "--all", "-o", "json", "--fail-on", "never", shared.AuditLog)
		if err := json.Unmarshal([]byte(out.Stdout), &report); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		seen := map[string][]string{}
		for _, tok := range report.Tokens {
			if account, mine := strings.CutPrefix(tok.ServiceAccount, ns+"/"); mine {
				seen[account] = append(seen[account], tok.Verdict)
			}
		}
		return seen
	}
	waitFor(t, ctx, "both programs made a request", func() bool { return len(tokens()) == 2 })

	list := kubecred(t, "tokens", "list", "--kubeconfig", withRights(ctx, t, "lister-"+ns, "tokens", "list"), "-n", ns, "--audit-log", shared.AuditLog, "--profile", "eks")
	wantStatus(t, list, 1)
	wantText(t, list.Stdout, ns+"/deployment/never", ns+"/deployment/rereads", "stale")

	// A kubelet that starts again writes new tokens: one of the programs takes its.
	if err := node.RestartKubelet(ctx); err != nil {
		t.Fatal(err)
	}
	waitFor(t, ctx, "the program that reads again shows a second token", func() bool { return len(tokens()["rereads"]) > 1 })
	if never := tokens()["never"]; len(never) != 1 || never[0] != "stale" {
		t.Errorf("the program that never reads again: %q", never)
	}

	// What comes next starts with the kubelet's own token.
	secret.Data = map[string][]byte{}
	if _, err := core.Secrets(ns).Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	config := withRights(ctx, t, "restarter-"+ns, "tokens", "restart")
	scope := []string{"--kubeconfig", config, "-n", ns, "--apply", "--verify", "--timeout", "90s", "--verify-timeout", "60s", "--fail-on", "warning"}
	for _, tt := range []struct {
		status int
		args   []string
		want   string
	}{
		{1, []string{shared.AuditLog}, "never restarted snoozed same-image"},
		{0, []string{"--audit-log", shared.AuditLog, "deployment/rereads"}, "rereads restarted healed same-image"},
	} {
		done, out := restart(t, tt.status, append(append([]string{}, scope...), tt.args...)...)
		if len(done.Steps) != 1 {
			t.Fatalf("%s", out)
		}
		s := done.Steps[0]
		if got := s.Name + " " + s.State + " " + s.Verdict + " " + s.Basis; got != tt.want {
			t.Errorf("%s, want %s:\n%s", got, tt.want, out)
		}
		if left := time.Until(s.Until); left < 89*day || left > 91*day {
			t.Errorf("until %v", s.Until)
		}
	}
}
