package kubeconfig

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/kubecred/kubecred/finding"
)

// Env is what [Check] may look at besides the files.
type Env struct {
	Now    time.Time
	Getenv func(string) string
	// Home is the home directory, "" for none.
	Home string
	// GOOS is the operating system that the clients run on (runtime.GOOS).
	GOOS string
	// Mode returns a file's mode, following links. nil: modes are not judged.
	Mode func(path string) (fs.FileMode, error)
	// ReadFile reads a file that a kubeconfig names. nil: none is read.
	ReadFile func(path string) ([]byte, error)
	// Executables returns the programs that a command means, in the order of PATH.
	// nil: commands are not looked for.
	Executables func(command string) []string
	// Policy is kubectl's policy for plugins, nil for none.
	Policy *Policy
	// Flags are what to add to a kubecred command so that it works on this file.
	Flags func(f *File) string
}

// Check judges kubeconfigs, given in the order in which a client merges them.
func Check(files []*File, env Env) []finding.Finding {
	c := &checker{env: env, files: files, programs: map[string][]string{}, certs: newCertCache()}
	for _, f := range files {
		c.f = f
		c.file()
		c.types()
		c.clusters()
		c.users()
		c.contexts()
	}
	c.merged()
	return c.out
}

// checker goes over the files; f is the one at hand.
type checker struct {
	env      Env
	files    []*File
	f        *File
	out      []finding.Finding
	programs map[string][]string
	certs    *certCache
	older    []olderEntry
	missing  []missingCommand
	refused  []missingCommand
	indexes  map[string]index
	byUser   map[string][]Context // of the file byUserOf
	byUserOf *File
	// saidOutput and saidTwo: notes that are worth saying once a run.
	saidOutput, saidTwo bool
}

// add makes a finding at a place of the file at hand. The pointer is good until
// the next add.
func (c *checker) add(code, subject string, at Place, message string, args ...any) *finding.Finding {
	if len(args) > 0 {
		message = fmt.Sprintf(message, args...)
	}
	f := finding.New(code, subject, message)
	f.Where = finding.Where{File: c.f.Name, Line: at.Line, Column: at.Column}
	c.out = append(c.out, f)
	return &c.out[len(c.out)-1]
}

func (c *checker) text(key string, s Scalar) string { return c.f.Shown(key, s) }

// Shown is `key: value` as it stands in the file, for keys that hold no secret.
func (f *File) Shown(key string, s Scalar) string {
	if s.node == nil {
		return ""
	}
	if sp, ok := f.scalarSpan(s.node); ok {
		return key + ": " + string(f.Data[sp.start:sp.end])
	}
	return ""
}

// fixCommand is a kubecred command for the file at hand.
func (c *checker) fixCommand(command string) string {
	if c.env.Flags == nil {
		return command
	}
	return command + c.env.Flags(c.f)
}

// subjects name an entry by its name, or by its place in the list.
func subject(kind, list string, i int, name Scalar) string {
	if name.Value != "" {
		return kind + " " + name.Value
	}
	return fmt.Sprintf("%s[%d]", list, i)
}

// path resolves a path of the file at hand, which is relative to that file
// (k8s.io/client-go tools/clientcmd/loader.go, ResolveLocalPaths).
func (c *checker) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(filepath.Dir(c.f.Name), p)
}

// nodePlace is where a list or mapping begins.
func nodePlace(n *yaml.Node, otherwise Place) Place {
	if n == nil {
		return otherwise
	}
	return place(n)
}

// list writes names as a person would: "a", "a and b", "a, b and 3 more".
func list(names []string) string {
	const most = 3
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return names[0]
	case n <= most+1:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// quoted writes a name for a person, in quotes where it is empty or has blanks.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\n\"'") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
