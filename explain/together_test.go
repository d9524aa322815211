package explain

import (
	"testing"

	"github.com/kubecred/kubecred/finding"
)

func TestTogether(t *testing.T) {
	path := finding.New("KC401", "aws-auth", "the role has a path, people/admins, which never matches")
	path.Where.Line = 14
	caller := finding.New("KC431", "arn:aws:sts::111122223333:assumed-role/admins/bob", "the identity is in no mapping that was given")
	other := finding.New("KC137", "kubeconfig", "others on this machine can read the file")
	got := Together([]finding.Finding{other, caller, path}, Options{Now: now})
	if len(got) != 1 || got[0].Rule != "path-in-mapping" || got[0].Finding.Where.Line != 14 {
		t.Fatalf("got %+v", got)
	}
	if got := Together([]finding.Finding{path, other}, Options{Now: now}); len(got) != 0 {
		t.Errorf("one finding alone leads to %s", got[0].Rule)
	}
	if got := Together(nil, Options{Now: now}); len(got) != 0 {
		t.Errorf("nothing leads to %s", got[0].Rule)
	}
}
