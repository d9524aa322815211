package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
)

// audienceJudge tells whether nodes may request tokens for an audience.
type audienceJudge interface {
	NodesMayRequest(ctx context.Context, audience string) (bool, error)
}

// lintAudiences judges whether nodes may request the tokens that providers want.
func lintAudiences(ctx context.Context, judge audienceJudge, configs []*imagecred.Config) ([]finding.Finding, error) {
	var out []finding.Finding
	known := map[string]bool{}
	for _, c := range configs {
		for i := range c.Providers {
			p := &c.Providers[i]
			if p.TokenAttributes == nil || p.TokenAttributes.Audience == "" {
				continue
			}
			audience := p.TokenAttributes.Audience
			allowed, asked := known[audience]
			if !asked {
				var err error
				if allowed, err = judge.NodesMayRequest(ctx, audience); err != nil {
					return nil, err
				}
				known[audience] = allowed
			}
			if allowed {
				continue
			}
			f := finding.New("KC244", "provider "+p.Name, fmt.Sprintf("nodes may not request tokens for the audience %q, so the provider fails for every pod whose volumes do not name it", audience))
			f.Where = p.Where("tokenAttributes.serviceAccountTokenAudience")
			f.Details = []string{
				"the kubelet logs: failed to get service account token: ... audience not found in pod spec volume",
				"a right for some service accounts alone (resourceNames) is not seen here",
			}
			f.Fix.Summary = "a ClusterRole with the right, bound to the group system:nodes"
			f.Fix.Command = fmt.Sprintf("kubecred image config --print rbac --audience %s | kubectl apply -f -", shellWord(audience))
			f.Evidence["audience"] = audience
			out = append(out, f)
		}
	}
	return out, nil
}

// shellWord quotes a word for a shell.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-./_:@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
