package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
)

// findKubelet finds the kubelet of this machine, or of the one whose file system
// is below root, and what its flags say. It only reads.
func (a *app) findKubelet(root string) (imagecred.Kubelet, bool) {
	return imagecred.FindKubelet(root)
}

// checkKubelet judges the kubelet that runs here and the config it was given.
// Where there is none the part is empty.
func (a *app) checkKubelet(ctx context.Context, root string) (part, error) {
	var p part
	k, ok := a.findKubelet(root)
	if !ok {
		return p, nil
	}
	p.findings = append(p.findings, k.Lint()...)
	summary := "no credential provider"
	if k.Config != "" {
		summary = "credential providers in " + k.Config
	}
	p.sources = append(p.sources, finding.Source{Road: finding.Node, Name: "kubelet, " + k.Source, Summary: summary})
	if k.Config == "" {
		return p, nil
	}
	if _, err := os.Stat(k.Config); os.IsPermission(err) {
		return p, fmt.Errorf("%s: permission denied: run as root to judge the kubelet's own config", k.Config)
	}
	q, err := a.lintImageConfigs(ctx, []string{k.Config}, k.BinDir)
	var unreadable *imagecred.LoadError
	if errors.As(err, &unreadable) {
		f := finding.New("KC209", "kubelet, "+k.Source, "the kubelet's config cannot be read, so it will not start again: "+unreadable.Err.Error())
		f.Where.File = k.Config
		f.Fix.Summary = "put the config there, or give the kubelet another --image-credential-provider-config"
		p.findings = append(p.findings, f)
		return p, nil
	}
	p.add(q)
	return p, err
}
