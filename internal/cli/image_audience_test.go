package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/imagecred"
)

type allowedAudiences map[string]bool

func (a allowedAudiences) NodesMayRequest(_ context.Context, audience string) (bool, error) {
	return a[audience], nil
}

func TestLintAudiences(t *testing.T) {
	config := func(audience string) *imagecred.Config {
		return imagecred.Parse("c.yaml", []byte("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: p\n  matchImages: [reg.io]\n  defaultCacheDuration: 1h\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n  tokenAttributes:\n    serviceAccountTokenAudience: \""+audience+"\"\n    cacheType: Token\n    requireServiceAccount: true\n"), 0)
	}
	found, err := lintAudiences(context.Background(), allowedAudiences{"good.example.com": true}, []*imagecred.Config{config("good.example.com"), config("it's.example.com")})
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	f := found[0]
	if f.Code != "KC244" || f.Where.Line != 9 || f.Fix.Command != `kubecred image config --print rbac --audience 'it'\''s.example.com' | kubectl apply -f -` {
		t.Errorf("%+v", f)
	}
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{"": "''", "a.b/c": "a.b/c", "a b": "'a b'", "$x": "'$x'"} {
		if got := shellWord(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if !strings.Contains(imagecred.AudienceRBAC("reg.io"), `resources: ["reg.io"]`) {
		t.Error("the manifest lacks the audience")
	}
}
