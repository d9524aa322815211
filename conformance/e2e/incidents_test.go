//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubecred/kubecred/conformance/lab"
)

// tokenReport is what tokens scan -o json promises.
type tokenReport struct {
	Tokens []struct {
		ServiceAccount, Pod, Node, CredentialID, Verdict string
		DiesAt                                           time.Time
		Requests                                         int
		Clients                                          []struct{ UserAgent, SourceIP string }
		Offender                                         *struct{ Name string }
	}
	Rejected []struct {
		UserAgent, SourceIP, Likely string
		Requests                    int
	}
}

func scan(t *testing.T, args ...string) tokenReport {
	t.Helper()
	out := kubecred(t, append([]string{"tokens", "scan", "--profile", "eks", "-o", "json", "--fail-on", "never"}, args...)...)
	wantStatus(t, out, 0)
	var report tokenReport
	if err := json.Unmarshal([]byte(out.Stdout), &report); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return report
}

// TestIncidents has the planted programs live and die, and holds what tokens
// scan makes of the real audit log against what they are.
func TestIncidents(t *testing.T) {
	t.Parallel()
	ctx := within(t, 20*time.Minute) // building Loki takes most of it, once
	standIns := lab.Incidents()
	for i := range standIns {
		standIns[i].Every = 500 * time.Millisecond
		if standIns[i].Age > lab.EKS { // sooner than for people
			standIns[i].Age = lab.EKS + time.Minute - 5*time.Second
		}
	}
	programs := must[[]*lab.Workload](t)(shared.Plant(ctx, standIns))
	verdicts := map[string]string{
		"kube2iam": "stale", "kubernetes-external-secrets": "stale", "reporter": "stale", "prometheus": "fresh",
		"fluentd": "reloads-when-refused", "nightly-cron": "dead",
	}
	// Wait for the deaths, and a little for what follows them.
	for _, p := range programs {
		if v := verdicts[p.Account]; v == "dead" || v == "reloads-when-refused" {
			waitFor(t, ctx, p.Pod+" is refused", func() bool { _, refused := p.Counts(); return refused > 0 })
			if left := time.Until(p.First.Dies()); left > 0 {
				t.Errorf("%s was refused %s before its death", p.Pod, left)
			}
		}
	}
	for _, p := range programs {
		accepted, _ := p.Counts()
		waitFor(t, ctx, p.Pod+" goes on", func() bool {
			now, refused := p.Counts()
			return now > accepted || refused > 1
		})
		if err := p.Stop(); err != nil {
			t.Errorf("%s: %v", p.Pod, err)
		}
	}

	report := scan(t, "--all", shared.AuditLog)
	for _, p := range programs {
		accepted, refused := p.Counts()
		found := false
		for _, token := range report.Tokens {
			if token.Pod != p.Pod || p.First.ID != "" && token.CredentialID != p.First.ID {
				continue
			}
			found = true
			if token.Verdict != verdicts[p.Account] {
				t.Errorf("%s: verdict %s, want %s: %+v", p.Pod, token.Verdict, verdicts[p.Account], token)
			}
			if token.ServiceAccount != p.Namespace+"/"+p.Account {
				t.Errorf("%s: account %s", p.Pod, token.ServiceAccount)
			}
			if token.Node != p.Node {
				t.Errorf("%s: node %q, want %q", p.Pod, token.Node, p.Node)
			}
			if len(token.Clients) != 1 || token.Clients[0].UserAgent != p.Agent || token.Clients[0].SourceIP != p.Source {
				t.Errorf("%s: clients %+v, want %s from %s", p.Pod, token.Clients, p.Agent, p.Source)
			}
			if p.First.ID == "" {
				continue
			}
			if off := token.DiesAt.Sub(p.First.Dies()).Abs(); off > 10*time.Second {
				t.Errorf("%s: dies at %s, by its claims at %s", p.Pod, token.DiesAt, p.First.Dies().UTC())
			}
			if p.Habit == lab.ReadsOnce && token.Requests != accepted {
				t.Errorf("%s: %d requests with the mark, the program made %d", p.Pod, token.Requests, accepted)
			}
			if p.Account == "kube2iam" && (token.Offender == nil || token.Offender.Name != "kube2iam") {
				t.Errorf("%s: offender %+v", p.Pod, token.Offender)
			}
		}
		if !found {
			t.Errorf("%s (%s) is not in the report", p.Pod, p.First.ID)
		}
		if refused == 0 {
			continue
		}
		attributed := 0
		for _, r := range report.Rejected {
			if r.UserAgent == p.Agent && r.SourceIP == p.Source {
				attributed += r.Requests
				if want := p.Namespace + "/" + p.Account; r.Likely != want {
					t.Errorf("%s: a 401 likely of %q, want %s", p.Pod, r.Likely, want)
				}
			}
		}
		if attributed != refused {
			t.Errorf("%s: %d refusals in the report, the program met %d", p.Pod, attributed, refused)
		}
	}
	if t.Failed() {
		t.Logf("%+v", report)
	}
	doctor(t, ctx)
	sameFromEverywhere(t, ctx)
	restartPlanted(t, ctx)
}

// doctor wants every planted incident found, in one run of kubecred doctor.
func doctor(t *testing.T, ctx context.Context) {
	t.Helper()
	old := must[string](t)(shared.OldKubeconfig(ctx, "prod-2021"))
	args := []string{"doctor", "-o", "json", "--kubeconfig", old, "--audit-log", shared.AuditLog}
	want := map[string]string{ // subject to code
		"user prod-2021": "KC101", "kube-system/kube2iam": "KC301", "secrets/kubernetes-external-secrets": "KC301", "apps/reporter": "KC301",
		"logging/fluentd": "KC303", "apps/nightly-cron": "KC302",
	}
	if err := lab.NodeSupport(); err != nil {
		fmt.Printf("%s: without the image: %v\n", t.Name(), err)
	} else {
		image := must[*lab.ImageIncident](t)(shared.PlantImage(ctx))
		defer image.Node.Stop()
		waitFor(t, ctx, "the pod waits for its image", func() bool {
			pod, err := shared.Admin.CoreV1().Pods(image.Namespace).Get(ctx, image.Pod, metav1.GetOptions{})
			return err == nil && len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Waiting != nil &&
				strings.Contains(pod.Status.ContainerStatuses[0].State.Waiting.Reason, "Image")
		})
		args = append(args, "--image-config", image.Config, "--bin-dir", image.BinDir)
		want["provider lab-provider"] = "KC220"
	}
	out := kubecred(t, args...)
	wantStatus(t, out, 1)
	var report struct {
		Findings []struct{ Code, Subject string }
	}
	if err := json.Unmarshal([]byte(out.Stdout), &report); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for subject, code := range want {
		found := false
		for _, f := range report.Findings {
			found = found || f.Code == code && strings.HasPrefix(f.Subject, subject)
		}
		if !found {
			t.Errorf("doctor has no %s for %s:\n%+v", code, subject, report.Findings)
		}
	}
	for _, f := range report.Findings {
		if strings.Contains(f.Subject, "prometheus") {
			t.Errorf("doctor finds fault with a program that reads its token again: %+v", f)
		}
	}
}
