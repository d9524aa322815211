package kubeconfig

import (
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// named is what clusters, users and contexts have in common.
type named struct {
	name Scalar
	at   Place
}

func (f *File) named(list string) []named {
	var out []named
	switch list {
	case "clusters":
		for _, e := range f.Clusters {
			out = append(out, named{e.Name, e.Place})
		}
	case "users":
		for _, e := range f.Users {
			out = append(out, named{e.Name, e.Place})
		}
	case "contexts":
		for _, e := range f.Contexts {
			out = append(out, named{e.Name, e.Place})
		}
	}
	return out
}

// index is built once a run.
func (c *checker) index(list string) index {
	if c.indexes == nil {
		c.indexes = map[string]index{}
	}
	if ix, ok := c.indexes[list]; ok {
		return ix
	}
	ix := index{}
	for _, f := range c.files {
		for _, e := range f.named(list) {
			if _, ok := ix[e.name.Value]; !ok {
				ix[e.name.Value] = entryAt{f, placeOf(e)}
			}
		}
	}
	c.indexes[list] = ix
	return ix
}

func placeOf(e named) Place {
	if e.name.Set() {
		return e.name.Place
	}
	return e.at
}

// names finds names given twice in one file, which clients refuse, and names
// that an earlier file has already.
func (c *checker) names(kind, list string) {
	ix := c.index(list)
	seen := map[string]Place{}
	for _, e := range c.f.named(list) {
		name := e.name.Value
		if name == "" {
			continue
		}
		if first, ok := seen[name]; ok {
			f := c.add("KC123", kind+" "+name, placeOf(e), "the name is given twice in this file, first on line %d: clients refuse the file", first.Line)
			f.Details = []string{`a client says: duplicate name "` + name + `" in list`}
			f.Fix = finding.Fix{Summary: "rename or delete one of them"}
			continue
		}
		seen[name] = placeOf(e)
		if at := ix[name]; at.file != c.f {
			f := c.add("KC124", kind+" "+name, placeOf(e), "never used: %s defines the name before it, on line %d, and the first one counts", at.file.Name, at.Line)
			f.Fix = finding.Fix{Summary: "rename one of them"}
		}
	}
}

// merged judges what only all files together can tell.
func (c *checker) merged() {
	if len(c.files) == 0 {
		return
	}
	current := false
	contexts := 0
	for _, f := range c.files {
		current = current || f.CurrentContext.Value != ""
		contexts += len(f.Contexts)
	}
	if current || contexts == 0 {
		return
	}
	c.f = c.files[0]
	f := c.add("KC122", "current-context", c.f.CurrentContext.Place, "none is set, so a client that is given no --context uses http://localhost:8080")
	f.Severity = finding.Info
	f.Details = []string{"a client says: no context chosen, or: The connection to the server localhost:8080 was refused"}
	f.Fix = c.useContext(c.index("contexts"))
	f.Fix.Summary = strings.Replace(f.Fix.Summary, "another one", "one of the others", 1)
}
