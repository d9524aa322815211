// Package fence keeps the imports of the project pointing one way: values at the
// bottom, mechanisms above them, the command line on top. The rules are the rooms
// of ARCHITECTURE.md.
package fence

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/kubecred/kubecred"

// room says what a package of the project may import besides the standard
// library. own lists packages of the project, others modules from outside; an
// entry covers the packages below it.
type room struct {
	own, others []string
}

// rooms has a rule for every package with code that ships. A package without a
// rule fails the test, so that a new one is placed by decision.
var rooms = map[string]room{
	"finding":                          {},
	"internal/cluster":                 {others: []string{"k8s.io", "sigs.k8s.io/yaml"}},
	"internal/calendar":                {own: []string{"internal/cluster", "satoken"}},
	"internal/restart":                 {own: []string{"internal/cluster"}},
	"auditlog/cloudwatch":              {own: []string{"auditlog", "internal/lazyexp"}, others: []string{"github.com/aws"}},
	"auditlog/cloudwatch/insightsfake": {own: []string{"internal/awsfake"}},
	"auditlog/loki":                    {own: []string{"auditlog", "internal/lazyexp"}},
	"internal/report":                  {own: []string{"finding", "internal/lazyexp"}},
	"internal/cli":                     {own: []string{"*"}, others: []string{"*"}},
	"cmd/kubecred":                     {own: []string{"internal/cli", "internal/start"}},
	"hack/bench":                       {},
	"hack/bench/launch":                {},
	"hack/counted":                     {},
	"hack/docs":                        {own: []string{"internal/cli", "finding"}, others: []string{"github.com/spf13/cobra", "github.com/spf13/pflag"}},
	"credapi":                          {own: []string{"internal/plainjson"}},
	"ekstoken":                         {own: []string{"ekstoken/age", "ekstoken/mint"}},
	"ekstoken/age":                     {},
	"ekstoken/mint":                    {own: []string{"ekstoken/age"}},
	"iammap":                           {own: []string{"finding", "internal/lazyexp"}, others: []string{"go.yaml.in/yaml/v3"}},
	"kubeconfig":                       {own: []string{"finding", "internal/lazyexp"}, others: []string{"go.yaml.in/yaml/v3"}},
	"ekstoken/verify":                  {own: []string{"ekstoken", "internal/leanhttp"}},
	"authenticator":                    {own: []string{"ekstoken", "iammap"}, others: []string{"github.com/prometheus/client_golang", "golang.org/x/time", "golang.org/x/sys", "go.yaml.in/yaml/v3"}},
	"internal/awsread":                 {others: []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}},
	"imagecred":                        {own: []string{"finding", "credapi", "internal/lazyexp"}, others: []string{"go.yaml.in/yaml/v3", "sigs.k8s.io/yaml", "sigs.k8s.io/json", "github.com/distribution/reference"}},
	"auditlog":                         {own: []string{"internal/inputfile", "internal/utf16text"}, others: []string{"github.com/klauspost/compress"}},
	"satoken":                          {own: []string{"auditlog"}},
	"inspect":                          {own: []string{"credapi", "ekstoken", "finding", "satoken"}},
	"internal/plainjson":               {},
	"internal/probe":                   {own: []string{"credapi", "ekstoken"}},
	"internal/awseks":                  {others: []string{"github.com/aws"}},
	"internal/awsfake":                 {own: []string{"ekstoken"}},
	"explain":                          {own: []string{"finding", "kubeconfig", "imagecred", "iammap", "inspect", "internal/utf16text", "internal/lazyexp"}, others: []string{"go.yaml.in/yaml/v3"}},
	"internal/inputfile":               {},
	"internal/lazyexp":                 {},
	"internal/utf16text":               {},
	"internal/awsfiles":                {},
	"broker":                           {own: []string{"credapi", "ekstoken/age", "internal/awsfiles", "internal/plainjson"}, others: []string{"github.com/gofrs/flock", "golang.org/x/sys"}},
	"cmd/kubecred-exec":                {own: []string{"broker", "credapi", "internal/release"}},
	"internal/awskeys":                 {own: []string{"ekstoken/mint", "internal/awsfiles"}},
	"internal/awscommand":              {},
	"internal/awsecr":                  {own: []string{"ekstoken/mint", "internal/awskeys"}},
	"internal/leanhttp":                {others: []string{"golang.org/x/net/http/httpproxy"}},
	"internal/awsquick":                {own: []string{"credapi", "internal/awscommand", "internal/awskeys"}},
	"internal/awsquickecr":             {own: []string{"credapi", "internal/awscommand", "internal/awsecr", "internal/awskeys", "internal/leanhttp"}},
	"internal/awsissuer":               {own: []string{"ekstoken", "internal/awsecr", "internal/awskeys"}, others: []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}},
	"cmd/kubecred-aws":                 {own: []string{"internal/awsissuer", "internal/awscommand", "internal/awsecr", "internal/awsquick", "internal/awsquickecr", "internal/release", "credapi"}, others: []string{"golang.org/x/term"}},
	"internal/start":                   {},
	"internal/release":                 {},
	"internal/registry":                {others: []string{"github.com/pelletier/go-toml"}},
}

// onlyIn names outside modules that one package keeps to itself.
var onlyIn = map[string][]string{
	"k8s.io/client-go":       {"internal/cluster"},
	"github.com/spf13/cobra": {"internal/cli", "hack/docs"},
}

func TestImportsPointOneWay(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			base := d.Name()
			if rel != "." && (strings.HasPrefix(base, ".") || base == "testdata" || rel == "conformance" || rel == "hack/tools") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		pkg := path.Dir(rel)
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rule, ok := rooms[pkg]
		if !ok {
			t.Errorf("%s: package %s has no rule: add it to rooms in this test, and to ARCHITECTURE.md", rel, pkg)
			return nil
		}
		seen[pkg] = true
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if why := refuse(pkg, rule, imported); why != "" {
				t.Errorf("%s imports %s: %s", rel, imported, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range rooms {
		if !seen[pkg] {
			t.Errorf("rooms has a rule for %s, which has no code", pkg)
		}
	}
}

// refuse says why pkg may not import imported, or "" where it may.
func refuse(pkg string, rule room, imported string) string {
	if own, ok := strings.CutPrefix(imported, module+"/"); ok {
		if allows(rule.own, own) {
			return ""
		}
		return "this room may import of the project only " + list(rule.own)
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	for mod, homes := range onlyIn {
		if (imported == mod || strings.HasPrefix(imported, mod+"/")) && !slices.Contains(homes, pkg) {
			return "only " + list(homes) + " may"
		}
	}
	if allows(rule.others, imported) {
		return ""
	}
	return "this room may import from outside only " + list(rule.others)
}

func allows(list []string, imported string) bool {
	for _, entry := range list {
		if entry == "*" || imported == entry || strings.HasPrefix(imported, entry+"/") {
			return true
		}
	}
	return false
}

func list(s []string) string {
	if len(s) == 0 {
		return "nothing"
	}
	return strings.Join(s, ", ")
}

// TestEveryRoomIsDescribed holds the table of ARCHITECTURE.md against the rules.
func TestEveryRoomIsDescribed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range rooms {
		if !strings.Contains(string(text), "`"+pkg+"`") {
			t.Errorf("ARCHITECTURE.md does not describe %s", pkg)
		}
	}
}

func TestRefuse(t *testing.T) {
	tests := []struct {
		pkg, imported, want string
		rule                room
	}{
		{"finding", "fmt", "", room{}},
		{"finding", "net/http", "", room{}},
		{"finding", module + "/internal/cli", "this room may import of the project only nothing", room{}},
		{"finding", "github.com/x/y", "this room may import from outside only nothing", room{}},
		{"kubeconfig", module + "/finding", "", room{own: []string{"finding"}}},
		{"kubeconfig", module + "/findings", "this room may import of the project only finding", room{own: []string{"finding"}}},
		{"authenticator", "k8s.io/client-go/rest", "only internal/cluster may", room{others: []string{"*"}}},
		{"internal/cluster", "k8s.io/client-go/rest", "", room{others: []string{"k8s.io"}}},
	}
	for _, tt := range tests {
		if got := refuse(tt.pkg, tt.rule, tt.imported); got != tt.want {
			t.Errorf("refuse(%s, %s) = %q, want %q", tt.pkg, tt.imported, got, tt.want)
		}
	}
}
