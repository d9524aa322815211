package kubeconfig

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Entry is a cluster, a user with an exec plugin and a context to have in a
// kubeconfig.
type Entry struct {
	Cluster, Context, User string // their names
	Server                 string
	CAData                 string // base64 of PEM
	Namespace              string // "" leaves that of the context
	Exec                   ExecSpec
}

// ExecSpec is an exec block to be written.
type ExecSpec struct {
	APIVersion, Command, InteractiveMode, InstallHint string
	Args                                              []string
	Env                                               [][2]string // name and value
}

// Skeleton is what a new kubeconfig begins as.
const Skeleton = "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\ncurrent-context: \"\"\nusers: []\n"

// Merge plans to have the entries in the file: those that are there get what
// differs and keep everything else, the others are added at the end of their
// list. current is the context to make the current one, "" to leave it.
func (f *File) Merge(entries []Entry, current string) (*Edit, error) {
	m := merger{planner: newPlanner(f), fresh: map[string][]fieldList{}}
	for _, e := range entries {
		if err := m.entry(e); err != nil {
			return nil, err
		}
	}
	for _, section := range sectionNames {
		if err := m.append(section); err != nil {
			return nil, err
		}
	}
	if current != "" && f.CurrentContext.Value != current {
		if err := m.current(current); err != nil {
			return nil, err
		}
	}
	return m.edit()
}

type merger struct {
	*planner
	fresh map[string][]fieldList // entries to add, by section
}

func (m *merger) entry(e Entry) error {
	if i := slices.IndexFunc(m.f.Clusters, func(c Cluster) bool { return c.Name.Value == e.Cluster }); i >= 0 {
		if err := m.cluster(i, e); err != nil {
			return err
		}
	} else {
		m.add("clusters", "cluster", e.Cluster, fieldList{
			{"cluster", fieldList{{"certificate-authority-data", e.CAData}, {"server", e.Server}}}, {"name", e.Cluster},
		})
	}
	if i := slices.IndexFunc(m.f.Users, func(u User) bool { return u.Name.Value == e.User }); i >= 0 {
		if err := m.user(i, e); err != nil {
			return err
		}
	} else {
		m.add("users", "user", e.User, fieldList{{"name", e.User}, {"user", fieldList{{"exec", e.Exec.fields()}}}})
	}
	if i := slices.IndexFunc(m.f.Contexts, func(c Context) bool { return c.Name.Value == e.Context }); i >= 0 {
		return m.context(i, e)
	}
	context := fieldList{{"cluster", e.Cluster}}
	if e.Namespace != "" {
		context = append(context, field{"namespace", e.Namespace})
	}
	context = append(context, field{"user", e.User})
	m.add("contexts", "context", e.Context, fieldList{{"context", context}, {"name", e.Context}})
	return nil
}

func (s ExecSpec) fields() fieldList {
	texts := func(list []string) []any {
		out := make([]any, len(list))
		for i, v := range list {
			out[i] = v
		}
		return out
	}
	out := fieldList{{"apiVersion", s.APIVersion}, {"args", texts(s.Args)}, {"command", s.Command}}
	if len(s.Env) > 0 {
		var env []any
		for _, v := range s.Env {
			env = append(env, fieldList{{"name", v[0]}, {"value", v[1]}})
		}
		out = append(out, field{"env", env})
	}
	if s.InstallHint != "" {
		out = append(out, field{"installHint", s.InstallHint})
	}
	return append(out, field{"interactiveMode", s.InteractiveMode})
}

// add notes an entry to be added, once however many ask for it.
func (m *merger) add(section, kind, name string, entry fieldList) {
	for _, have := range m.fresh[section] {
		for _, f := range have {
			if f.key == "name" && f.value == name {
				return
			}
		}
	}
	m.fresh[section] = append(m.fresh[section], entry)
	m.changes = append(m.changes, Change{Subject: kind + " " + name, Field: "entry", To: name})
	m.intents = append(m.intents, func(root map[string]any) error {
		list, _ := root[section].([]any)
		root[section] = append(list, plainValue(entry))
		return nil
	})
}

// cluster brings an entry that is there up to date.
func (m *merger) cluster(i int, e Entry) error {
	c := m.f.Clusters[i]
	if typeOf(orNull(c.body)) != typeObject {
		return refuse(c.node, "cluster %s is no whole entry: mend or delete it first", e.Cluster)
	}
	if c.CA.Value != "" {
		return refuse(c.CA.node, "cluster %s has a certificate-authority file, which the new certificate-authority-data would contradict: take it away first", e.Cluster)
	}
	who := "cluster " + e.Cluster
	if c.Insecure.Value == "true" {
		if err := m.set(follow(c.Insecure.node), "false"); err != nil {
			return err
		}
		m.changes = append(m.changes, Change{Subject: who, Place: c.Insecure.Place, Field: "insecure-skip-tls-verify", From: "true", To: "false", Reason: "the certificate authority is known"})
		m.intents = append(m.intents, inEntry("clusters", i, "cluster", "insecure-skip-tls-verify", false))
	}
	return m.texts(who, "clusters", "cluster", i, c.body, [][2]string{{"server", e.Server}, {"certificate-authority-data", e.CAData}})
}

func (m *merger) context(i int, e Entry) error {
	c := m.f.Contexts[i]
	if typeOf(orNull(c.body)) != typeObject {
		return refuse(c.node, "context %s is no whole entry: mend or delete it first", e.Context)
	}
	want := [][2]string{{"cluster", e.Cluster}, {"user", e.User}}
	if e.Namespace != "" {
		want = append(want, [2]string{"namespace", e.Namespace})
	}
	return m.texts("context "+e.Context, "contexts", "context", i, c.body, want)
}

// inEntry is the intent to change one key of an entry.
func inEntry(section string, i int, kind, key string, v any) func(map[string]any) error {
	return func(root map[string]any) error {
		list, _ := root[section].([]any)
		if i >= len(list) {
			return fmt.Errorf("%s has no entry %d", section, i)
		}
		entry, _ := list[i].(map[string]any)
		body, ok := entry[kind].(map[string]any)
		if !ok {
			return fmt.Errorf("%s[%d] has no %s", section, i, kind)
		}
		body[key] = v
		return nil
	}
}

// texts gives keys of an entry's mapping their values.
func (m *merger) texts(who, section, kind string, i int, body *yaml.Node, want [][2]string) error {
	for _, kv := range want {
		changed, err := m.text(who, body, kv[0], kv[1])
		if err != nil {
			return err
		}
		if changed {
			m.intents = append(m.intents, inEntry(section, i, kind, kv[0], kv[1]))
		}
	}
	return nil
}

// text gives one key of a mapping its value, and tells whether that is new.
func (m *merger) text(who string, body *yaml.Node, key, want string) (bool, error) {
	p, has := get(body, key)
	if has && typeOf(p.value) == typeString && newScalar(p.value).Value == want {
		return false, nil
	}
	change := Change{Subject: who, Field: key, To: want}
	if key == "certificate-authority-data" {
		change.To = "that of the cluster"
	}
	switch {
	case has:
		if t := typeOf(p.value); t == typeObject || t == typeArray {
			return false, refuse(p.value, "%s is %s, not a text", key, article(t))
		}
		change.Place, change.From = place(p.value), newScalar(p.value).Value
		if key == "certificate-authority-data" {
			change.From = "another"
		}
		if err := m.set(p.value, want); err != nil {
			return false, err
		}
	default:
		beside, ok := m.neighbour(body)
		if !ok {
			return false, refuse(body, "%s: kubecred can't tell where to put %s", who, key)
		}
		written := scalarText(want, beside.owner.Style&yaml.FlowStyle != 0)
		if beside.key.Style&yaml.DoubleQuotedStyle != 0 {
			written = quote(want)
		}
		splices, err := m.f.insertText(beside, key, written)
		if err != nil {
			return false, err
		}
		m.splices = append(m.splices, splices...)
		change.Place = place(beside.key)
	}
	m.changes = append(m.changes, change)
	return true, nil
}

// neighbour is the last pair that is written in a mapping itself.
func (m *merger) neighbour(body *yaml.Node) (pair, bool) {
	var last pair
	found := false
	for _, p := range pairs(body) {
		if p.owner == follow(body) {
			last, found = p, true
		}
	}
	return last, found
}

// current makes a context the current one.
func (m *merger) current(name string) error {
	changed, err := m.text("the file", m.f.root, "current-context", name)
	if changed {
		m.intents = append(m.intents, func(root map[string]any) error { root["current-context"] = name; return nil })
	}
	return err
}

// user brings an exec block that is there up to date.
func (m *merger) user(i int, e Entry) error {
	u := m.f.Users[i]
	if u.Exec == nil {
		return refuse(u.node, "user %s is there and has no exec block: give another name with --user-alias", e.User)
	}
	who := "user " + e.User
	for _, kv := range [][2]string{
		{"apiVersion", e.Exec.APIVersion}, {"command", e.Exec.Command}, {"interactiveMode", e.Exec.InteractiveMode}, {"installHint", e.Exec.InstallHint},
	} {
		if kv[1] == "" || kv[0] == "interactiveMode" && u.Exec.InteractiveMode.Value != "" && e.Exec.APIVersion == u.Exec.APIVersion.Value {
			continue // a mode that somebody chose stays
		}
		changed, err := m.text(who, u.Exec.node, kv[0], kv[1])
		if err != nil {
			return err
		}
		if changed {
			m.intend(i, func(exec map[string]any) { exec[kv[0]] = kv[1] })
		}
	}
	if !slices.Equal(u.Exec.ArgValues(), e.Exec.Args) {
		if err := m.args(u.Exec, e.Exec.Args); err != nil {
			return err
		}
		m.changes = append(m.changes, Change{Subject: who, Place: u.Exec.Place, Field: "args", From: strings.Join(u.Exec.ArgValues(), " "), To: strings.Join(e.Exec.Args, " ")})
		m.intend(i, func(exec map[string]any) {
			args := make([]any, len(e.Exec.Args))
			for i, a := range e.Exec.Args {
				args[i] = a
			}
			exec["args"] = args
		})
	}
	return m.env(i, u, e.Exec.Env, who)
}
