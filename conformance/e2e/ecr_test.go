//go:build unix

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubecred/kubecred/broker"
	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/internal/awsfake"
	"github.com/kubecred/kubecred/internal/awsissuer"
)

// ecrHost is a registry of an account in ECR.
func ecrHost(account string) string { return account + ".dkr.ecr.eu-west-1.amazonaws.com" }

// explained runs image explain on the node's config.
func explained(t *testing.T, config, image string) string {
	t.Helper()
	out := kubecred(t, "image", "explain", "--config", config, image)
	wantStatus(t, out, 0)
	return out.Stdout
}

// TestECRPull pulls through kubecred-exec and kubecred-aws, from a registry of
// either kind, by ECR's own name and by a host that is configured to stand for it.
func TestECRPull(t *testing.T) {
	needNode(t)
	for name, auth := range map[string]lab.RegistryAuth{"basic": lab.Basic, "token": lab.Bearer} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := within(t, 2*time.Minute)
			ecr := must[*lab.ECR](t)(shared.ECR(ctx, auth))
			image := must[string](t)(ecr.Registry.Push(ctx, "team/app:1"))
			config := must[string](t)(ecr.Config(lab.ECRConfig{
				Patterns: []string{"*.dkr.ecr.*.amazonaws.com", ecr.Registry.Host, "other.example"},
				Flags:    []string{"--host", ecr.Registry.Host + "=" + ecrHost(awsfake.Account)},
			}))
			node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{
				ImageConfig: config, BinDir: ecr.BinDir,
				Registries: map[string]*lab.Registry{ecrHost(awsfake.Account): ecr.Registry, "other.example": ecr.Registry},
			}))
			defer node.Stop()
			for _, tt := range []struct {
				image  string
				pulled bool
				calls  int // to AWS, so far
			}{
				{ecrHost(awsfake.Account) + "/team/app:1", true, 1},
				{image, true, 2},
				// Not ECR's: refused before AWS is asked.
				{"other.example/team/app:1", false, 2},
			} {
				got := must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: tt.image}))
				if got.Pulled != tt.pulled {
					t.Errorf("%s: %+v, want pulled %v", tt.image, got, tt.pulled)
				}
				if n := ecr.Passwords(); n != tt.calls {
					t.Errorf("%s: AWS was asked for %d passwords, want %d", tt.image, n, tt.calls)
				}
			}
			wantText(t, explained(t, config, "other.example/team/app:1"), `there was no credential for other.example/team/app, because kubecred-aws failed with exit status 2: "other.example" is no registry of Amazon ECR, so it gets no password`)
			tried := kubecred(t, "image", "try", "--config", config, "--bin-dir", ecr.BinDir, image)
			wantStatus(t, tried, 0)
			wantText(t, tried.Stdout, "a kubelet pulls this with login 1")

			// Whatever the next kubelet asks for, AWS is not asked again.
			if err := node.RestartKubelet(ctx); err != nil {
				t.Fatal(err)
			}
			for _, image := range []string{ecrHost(awsfake.Account) + "/team/app:1", image} {
				got := must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: image}))
				if !got.Pulled {
					t.Errorf("after a restart, %s: %+v", image, got)
				}
			}
			if n := ecr.Passwords(); n != 2 {
				t.Errorf("after a restart AWS was asked for %d passwords, want 2", n)
			}
		})
	}
}

// TestECRFaults has AWS throttle, be away, hang and be slow, and holds what the
// pod sees against what image explain says of it.
func TestECRFaults(t *testing.T) {
	needNode(t)
	t.Parallel()
	ctx := within(t, 4*time.Minute)
	ecr := must[*lab.ECR](t)(shared.ECR(ctx, lab.Basic))
	must[string](t)(ecr.Registry.Push(ctx, "team/app:1"))
	config := must[string](t)(ecr.Config(lab.ECRConfig{
		Patterns: []string{"*.dkr.ecr.*.amazonaws.com"},
		Env:      []string{"KUBECRED_TIMEOUT=12s"}, // a whole minute would say no more
	}))
	faults := []struct {
		name    string
		account string
		fault   awsfake.Fault
		pulled  bool
		says    []string // of image explain
	}{
		{"throttles", "111111111111", awsfake.Fault{Action: "ecr:GetAuthorizationToken", Throttle: true}, false,
			[]string{"kubecred-aws failed with exit status 1: AWS answers ThrottlingException: Rate exceeded"}},
		{"is down", "222222222222", awsfake.Fault{Action: "*", Reset: true}, false,
			[]string{"kubecred-aws failed with exit status 1: AWS cannot be reached: "}},
		{"has trouble of its own", "333333333333", awsfake.Fault{Action: "*", Status: 503}, false,
			[]string{"kubecred-aws failed with exit status 1: AWS answers InternalFailure: We encountered an internal error"}},
		{"hangs", "444444444444", awsfake.Fault{Action: "*", Delay: time.Minute}, false,
			[]string{"kubecred-aws gave no answer within 12s and was ended"}},
		{"is slow", "555555555555", awsfake.Fault{Action: "ecr:GetAuthorizationToken", Delay: 3 * time.Second, Times: 1}, true,
			[]string{"555555555555.dkr.ecr.eu-west-1.amazonaws.com/team/app got a new credential (3."}},
		{"is well", "666666666666", awsfake.Fault{}, true,
			[]string{"666666666666.dkr.ecr.eu-west-1.amazonaws.com/team/app got a new credential (0."}},
	}
	registries := map[string]*lab.Registry{}
	for _, tt := range faults {
		registries[ecrHost(tt.account)] = ecr.Registry
	}
	node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{Joined: true, ImageConfig: config, BinDir: ecr.BinDir, Registries: registries}))
	defer node.Stop()
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			ecr.AWS.Mend()
			if tt.fault.Action != "" {
				ecr.AWS.Fail(tt.fault)
			}
			image := ecrHost(tt.account) + "/team/app:1"
			got := must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: image}))
			if got.Pulled != tt.pulled {
				t.Errorf("%+v, want pulled %v", got, tt.pulled)
			}
			events := strings.Join(got.Events, "\n")
			if !tt.pulled { // all that a pod ever sees
				wantText(t, got.Message, "401 Unauthorized")
				wantText(t, events, `Failed: Failed to pull image "`+image+`"`, "401 Unauthorized")
			} else {
				wantText(t, events, "Pulled: Successfully pulled image")
			}
			said := explained(t, config, image)
			wantText(t, said, tt.says...)
			t.Logf("the pod: %s\nexplain:\n%s", events, said)
		})
	}
	if data := must[[]broker.Outcome](t)(broker.Journal(ecr.CacheDir)); len(data) < len(faults) {
		t.Errorf("%d outcomes in the journal, want %d at least", len(data), len(faults))
	}
}

// TestECRServiceAccounts has a joined kubelet send the pods' own tokens, for which
// AWS gives the role that the account names, and to nobody else anything.
func TestECRServiceAccounts(t *testing.T) {
	needNode(t)
	t.Parallel()
	ctx := within(t, 3*time.Minute)
	ns := must[string](t)(shared.Namespace(ctx, "ecr-accounts"))
	accounts := shared.Admin.CoreV1().ServiceAccounts(ns)
	for name, annotations := range map[string]map[string]string{
		"puller": {awsissuer.RoleAnnotation: lab.ECRRole},
		"bare":   nil,
	} {
		must[*corev1.ServiceAccount](t)(accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}}, metav1.CreateOptions{}))
	}
	ecr := must[*lab.ECR](t)(shared.ECR(ctx, lab.Bearer))
	must[string](t)(ecr.Registry.Push(ctx, "team/app:1"))
	wants := lab.ECRConfig{Patterns: []string{"*.dkr.ecr.*.amazonaws.com"}, TokenAttributes: map[string]any{
		"serviceAccountTokenAudience": lab.ECRAudience, "requireServiceAccount": true, "cacheType": "ServiceAccount",
		"optionalServiceAccountAnnotationKeys": []string{awsissuer.RoleAnnotation},
	}}
	config := must[string](t)(ecr.Config(wants))
	node := must[*lab.Node](t)(shared.Node(ctx, lab.NodeOptions{
		Joined: true, Audiences: []string{lab.ECRAudience}, ImageConfig: config, BinDir: ecr.BinDir,
		Registries: map[string]*lab.Registry{ecrHost(awsfake.Account): ecr.Registry},
	}))
	defer node.Stop()
	image := ecrHost(awsfake.Account) + "/team/app:1"
	pull := func(account string) lab.PullResult {
		t.Helper()
		return must[lab.PullResult](t)(node.PullImage(ctx, lab.Pull{Image: image, Namespace: ns, Account: account}))
	}
	const assume, password = "sts:AssumeRoleWithWebIdentity", "ecr:GetAuthorizationToken"
	if got := pull("puller"); !got.Pulled {
		t.Fatalf("%+v", got)
	}
	if calls := ecr.AWS.Calls(assume); len(calls) != 1 || calls[0].Params["RoleSessionName"] != "kubecred-"+ns+"-puller" || calls[0].Params["RoleArn"] != lab.ECRRole {
		t.Errorf("%+v", calls)
	}
	if calls := ecr.AWS.Calls(password); len(calls) != 1 || !strings.HasPrefix(calls[0].AccessKeyID, "ASIA") {
		t.Errorf("%+v", calls)
	}
	// The node has keys, and they are not taken for the account's.
	if got := pull("bare"); got.Pulled || !strings.Contains(got.Message, "401") && !strings.Contains(got.Message, "authorization failed") {
		t.Errorf("%+v", got)
	}
	if n := len(ecr.AWS.Calls()); n != 2 {
		t.Errorf("%d calls: %+v", n, ecr.AWS.Calls())
	}
	wantText(t, explained(t, config, image),
		" with the service account "+ns+"/bare, because kubecred-aws failed with exit status 2: no role for the service account: it has no annotation "+awsissuer.RoleAnnotation)

	// Where that is what somebody wants, it is written down each time.
	wants.Flags = []string{"--identity", "pod-then-node"}
	if err := os.Rename(must[string](t)(ecr.Config(wants)), config); err != nil {
		t.Fatal(err)
	}
	if err := node.RestartKubelet(ctx); err != nil {
		t.Fatal(err)
	}
	if got := pull("bare"); !got.Pulled {
		t.Errorf("%+v", got)
	}
	if calls := ecr.AWS.Calls(password); len(calls) != 2 || calls[1].AccessKeyID != awsfake.UserKey {
		t.Errorf("%+v", calls)
	}
	wantText(t, explained(t, config, image),
		"got a new credential with the service account "+ns+"/bare", "kubecred-aws said: the pod's own identity failed, and the node's was taken as --identity says: no role")
}
