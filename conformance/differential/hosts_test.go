package differential

import (
	"encoding/base64"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/ekstoken/verify"
)

// peerTests are the tests of aws-iam-authenticator's token package, from the
// version that is pinned, parsed and not run: their tables are read.
func peerTests(t *testing.T) *ast.File {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/aws-iam-authenticator")
	list.Dir = "../authenticator"
	list.Env = append(os.Environ(), "GOWORK=off")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("the pinned aws-iam-authenticator: %v", err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "pkg/token/token_test.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func text(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// meantHost is why a host that the peer takes is refused here, "" where it must
// be taken.
func meantHost(partition, host, region string) string {
	if ekstoken.PartitionOf(strings.Split(host, ".")[1]) == "" {
		return "the peer takes any word for a region of partition aws, and the region that it runs in whatever it is called"
	}
	if region != "" && ekstoken.PartitionOf(region) != partition {
		return "a region belongs to one partition, whatever region the server runs in"
	}
	return ""
}

// TestPeersHosts: of the hosts in the peer's own test the same ones are taken,
// but for those that are no region's.
func TestPeersHosts(t *testing.T) {
	hosts, same := 0, 0
	ast.Inspect(peerTests(t), func(n ast.Node) bool {
		row, ok := n.(*ast.CompositeLit)
		if !ok || len(row.Elts) != 4 {
			return true
		}
		partition, ok1 := text(row.Elts[0])
		host, ok2 := text(row.Elts[1])
		valid, ok3 := row.Elts[2].(*ast.Ident)
		region, ok4 := text(row.Elts[3])
		if !ok1 || !ok2 || !ok3 || !ok4 || !strings.Contains(host, ".") {
			return true
		}
		hosts++
		want := valid.Name == "true"
		if got := takes(t, partition, host); got != want {
			if want && meantHost(partition, host, region) != "" {
				return true
			}
			t.Errorf("%s in partition %s with region %q: taken %v, by the peer %v", host, partition, region, got, want)
			return true
		}
		same++
		return true
	})
	if hosts < 50 || same < 45 {
		t.Errorf("%d hosts, %d with the same answer: the peer's test is written another way", hosts, same)
	}
	t.Logf("%d hosts, %d with the same answer", hosts, same)
}

// takes tells whether a good token for a host would be sent there.
func takes(t *testing.T, partition, host string) bool {
	t.Helper()
	v, err := verify.New(verify.Options{ClusterIDs: []string{"demo"}, Partition: partition})
	if err != nil {
		return false
	}
	e, ok := ekstoken.LookupHost(host)
	if !ok {
		e = ekstoken.Endpoint{Host: host, Region: strings.Split(host, ".")[1]}
	}
	text, err := ekstoken.Sign(ekstoken.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "x"}, ekstoken.Request{ClusterID: "demo", Endpoint: e, Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Check(text)
	return err == nil
}

// TestPeersRejections: what the peer's own test wants refused before STS is
// asked is refused here.
func TestPeersRejections(t *testing.T) {
	n := 0
	ast.Inspect(peerTests(t), func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) != 4 {
			return true
		}
		if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != "validationErrorTest" {
			return true
		}
		partition, _ := text(call.Args[1])
		bad, ok := tokenOf(call.Args[2])
		if !ok {
			return true // 4 KiB of zeros; lengths are another matter here
		}
		n++
		v, err := verify.New(verify.Options{ClusterIDs: []string{"demo"}, Partition: partition})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Check(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
		return true
	})
	if n < 14 {
		t.Errorf("only %d rejections: the peer's test is written another way", n)
	}
	t.Logf("%d rejections", n)
}

// tokenOf evaluates a text, toToken(URL) or toToken(fmt.Sprintf(URL, the time)).
func tokenOf(e ast.Expr) (string, bool) {
	if s, ok := text(e); ok {
		return s, true
	}
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return "", false
	}
	if url, ok := text(call.Args[0]); ok {
		return ekstoken.Prefix + base64.RawURLEncoding.EncodeToString([]byte(url)), true
	}
	inner, ok := call.Args[0].(*ast.CallExpr)
	if !ok || len(inner.Args) != 2 {
		return "", false
	}
	format, ok := text(inner.Args[0])
	url := fmt.Sprintf(format, time.Now().UTC().Format("20060102T150405Z"))
	return ekstoken.Prefix + base64.RawURLEncoding.EncodeToString([]byte(url)), ok
}
