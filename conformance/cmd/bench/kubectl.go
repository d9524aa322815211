//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubecred/kubecred/conformance/lab"
)

// startLab starts a real API server that takes every token, and writes a
// kubeconfig for each way to get one.
func startLab(ctx context.Context, p place) (more programs, end func(), err error) {
	webhook, err := lab.NewReviewer(filepath.Join(p.dir, "webhook"))
	if err != nil {
		return nil, nil, err
	}
	l, err := lab.Start(ctx, lab.Options{Log: os.Stderr, TokenWebhook: webhook.Kubeconfig})
	if err != nil {
		webhook.Close()
		return nil, nil, err
	}
	end = func() {
		_ = l.Close()
		webhook.Close()
	}
	more = programs{}
	if more["kubectl"], err = l.Program(ctx, "kubectl"); err == nil {
		err = l.Grant(ctx, lab.Reader, lab.ReviewedUser)
	}
	exe, own := p.programs["kubecred-exec"], []string{p.programs["kubecred-aws"], "token", "--cluster-name", "demo"}
	peer := []string{p.programs["aws-iam-authenticator"], "token", "-i", "demo"}
	aws := []string{p.programs["aws"], "eks", "get-token", "--cluster-name", "demo", "--output", "json"}
	broker := func(argv []string) []string { return append([]string{exe, "client", "--"}, argv...) }
	for name, argv := range map[string][]string{"static": nil, "peer": peer, "peer+": broker(peer), "aws": aws, "aws+": broker(aws), "own+": broker(own)} {
		auth := &clientcmdapi.AuthInfo{Token: l.StaticToken}
		if argv != nil {
			auth = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
				APIVersion: "client.authentication.k8s.io/v1beta1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
				Command: argv[0], Args: argv[1:],
			}}
		}
		if err == nil {
			more["kubeconfig "+name], err = l.Kubeconfig(name, auth)
		}
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return more, end, nil
}

// kubectlRows are a whole kubectl, before and after kubecred-exec is put in front
// of its plugin. "First" means that nothing is in the cache.
func kubectlRows(p programs) []*row {
	get := func(config string) []string {
		return []string{p["kubectl"], "--kubeconfig", p["kubeconfig "+config], "get", "namespaces", "-o", "name"}
	}
	const static, peer, cli = "kubectl get with a static token", "kubectl get with aws-iam-authenticator", "kubectl get with aws eks get-token"
	rows := []*row{
		{name: static, argv: get("static")},
		{name: peer, argv: get("peer"), against: []limit{{than: static}}},
		{name: "the first one through kubecred-exec", argv: get("peer+"), cold: true, against: []limit{{than: peer}}},
		{name: "all others", argv: get("peer+"), against: []limit{{than: peer}, {than: static}}},
		{name: "the first one with kubecred-aws through kubecred-exec", argv: get("own+"), cold: true, against: []limit{{than: peer}, {than: static}}},
	}
	if p["aws"] == "" {
		return rows
	}
	return append(rows,
		&row{name: cli, argv: get("aws"), slow: true, against: []limit{{than: static}}},
		&row{name: "the first one of these through kubecred-exec", argv: get("aws+"), cold: true, slow: true, against: []limit{{than: cli}}},
		&row{name: "all others of these", argv: get("aws+"), slow: true, against: []limit{{than: cli}}},
	)
}
