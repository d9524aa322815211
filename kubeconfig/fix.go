package kubeconfig

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The versions of the exec protocol, as the last part of an apiVersion.
const (
	V1       = "v1"
	V1beta1  = "v1beta1"
	V1alpha1 = "v1alpha1"
)

// Edit is a change to a file, ready to be written.
type Edit struct {
	// Data is the text after the change; the file's own where nothing changes.
	Data    []byte
	Changes []Change
	// Notes say what was left as it is, and why.
	Notes []Note
	// What a diff of the two texts counts.
	LinesChanged, LinesAdded, LinesRemoved int

	before  []byte
	splices []splice
}

// Change is one thing that an edit does.
type Change struct {
	Subject string // "user prod"
	Place
	Field    string // "apiVersion", "interactiveMode"
	From, To string // From is "" for what is added
	Reason   string
}

// Note is something worth saying about an entry that an edit leaves alone.
type Note struct {
	Subject string
	Place
	Text string
}

// Fix plans what makes the file's exec entries work with today's clients: the
// version of the protocol, and interactiveMode where v1 requires it. to is "v1",
// "v1beta1", or "" for the highest version that the entry's plugin speaks and
// that every client from 1.22 on accepts. The error is a *RefusedError, or says
// what is in the way.
func (f *File) Fix(to string) (*Edit, error) {
	p, err := f.planFix(to)
	if err != nil {
		return nil, err
	}
	return p.edit()
}

func (f *File) planFix(to string) (*planner, error) {
	p := newPlanner(f)
	for i := range f.Users {
		if f.Users[i].Exec == nil {
			continue
		}
		if err := p.user(i, to); err != nil {
			return nil, err
		}
	}
	return p, p.topLevel()
}

// planner gathers the splices of an edit and what they are meant to achieve.
type planner struct {
	f       *File
	splices []splice
	changes []Change
	notes   []Note
	intents []func(root map[string]any) error
	done    map[*yaml.Node]string // the text that a scalar gets
	added   map[insertion]bool
	gone    map[*yaml.Node]string // what becomes of lists that are left empty
}

func newPlanner(f *File) *planner {
	return &planner{f: f, done: map[*yaml.Node]string{}, added: map[insertion]bool{}, gone: map[*yaml.Node]string{}}
}

// insertion is a key that a mapping gets.
type insertion struct {
	mapping *yaml.Node
	key     string
}

func (p *planner) edit() (*Edit, error) {
	e := &Edit{Data: p.f.Data, Changes: p.changes, Notes: p.notes, before: p.f.Data}
	if len(p.splices) == 0 {
		return e, nil
	}
	if n, key := p.f.duplicateKey(); n != nil {
		return nil, refuse(n, "the key %s is given twice in one mapping: take one of them away first (a client uses the last)", key)
	}
	data, err := apply(p.f.Data, p.splices)
	if err != nil {
		return nil, err
	}
	err = p.f.verify(data, func(root map[string]any) error {
		for _, intent := range p.intents {
			if err := intent(root); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, &RefusedError{p.changes[0].Place, err.Error()}
	}
	e.Data, e.splices = data, p.splices
	e.LinesChanged, e.LinesAdded, e.LinesRemoved = p.f.countLines(p.splices)
	return e, nil
}

// countLines counts the lines that splices change, add and remove.
func (f *File) countLines(splices []splice) (changed, added, removed int) {
	touched := map[int]bool{}
	for _, s := range splices {
		breaks := len(lineStarts([]byte(s.text))) - 1
		added += breaks
		line, column := f.lineColumn(s.start)
		whole := s.start == s.end && breaks > 0 && (column == 1 || s.start == len(f.Data) || isSpace(s.text[0]) && s.text[0] != ' ')
		if gone := len(lineStarts(f.Data[s.start:s.end])) - 1; gone > 0 && s.text == "" {
			removed += gone
			whole = column == 1 || isSpace(f.Data[s.start]) && f.Data[s.start] != ' '
		}
		if !whole && !touched[line] {
			touched[line] = true
			changed++
		}
	}
	return changed, added, removed
}

// user plans one user's exec block.
func (p *planner) user(i int, to string) error {
	u := p.f.Users[i]
	x := u.Exec
	version, reason, err := target(u, to)
	if err != nil {
		return err
	}
	subject := "user " + u.Name.Value
	current := x.APIVersion.Value
	want := execGroup + version
	if version == "" {
		if reason != "" {
			p.notes = append(p.notes, Note{subject, x.Place, reason})
		}
		want, version = current, x.Version()
	}
	api, hasAPI := get(x.node, "apiVersion")
	if typ := typeOf(orNull(api.value)); hasAPI && typ != typeString && typ != typeNull {
		return refuse(api.value, "apiVersion is %s, not a text", article(typ))
	}
	set := map[string]string{}
	beside := api
	switch {
	case current == want:
	case !hasAPI:
		command, ok := get(x.node, "command")
		if !ok {
			return refuse(x.node, "%s: the exec block has neither apiVersion nor command", subject)
		}
		if err := p.insert(x, command, "apiVersion", want); err != nil {
			return err
		}
		beside = command
		set["apiVersion"] = want
		p.changes = append(p.changes, Change{Subject: subject, Place: place(command.key), Field: "apiVersion", To: want, Reason: reason})
	default:
		if err := p.set(api.value, want); err != nil {
			return err
		}
		set["apiVersion"] = want
		p.changes = append(p.changes, Change{Subject: subject, Place: place(api.value), Field: "apiVersion", From: current, To: want, Reason: reason})
	}
	if err := p.mode(x, beside, subject, version, set); err != nil {
		return err
	}
	if len(set) > 0 {
		p.intend(i, func(exec map[string]any) {
			for k, v := range set {
				exec[k] = v
			}
		})
	}
	return nil
}

// mode plans interactiveMode: v1 requires it, and IfAvailable is what an entry
// without it meant before (k8s.io/client-go tools/clientcmd/api/v1/defaults.go).
func (p *planner) mode(x *Exec, beside pair, subject, version string, set map[string]string) error {
	const key, available = "interactiveMode", "IfAvailable"
	mode, has := get(x.node, key)
	switch {
	case !has && version == V1:
		if err := p.insert(x, beside, key, available); err != nil {
			return err
		}
		set[key] = available
		p.changes = append(p.changes, Change{
			Subject: subject, Place: place(beside.key), Field: key, To: available,
			Reason: "v1 requires it, and IfAvailable is what v1beta1 meant without it",
		})
	case !has:
	default:
		typ := typeOf(mode.value)
		if typ != typeString && typ != typeNull {
			return refuse(mode.value, "interactiveMode is %s, not a text", article(typ))
		}
		now := x.InteractiveMode.Value
		want := now
		for _, known := range []string{"Never", available, "Always"} {
			if strings.EqualFold(now, known) {
				want = known
			}
		}
		if now == "" && version == V1 {
			want = available
		}
		if want == now {
			return nil
		}
		if err := p.set(mode.value, want); err != nil {
			return err
		}
		set[key] = want
		p.changes = append(p.changes, Change{
			Subject: subject, Place: place(mode.value), Field: key, From: now, To: want,
			Reason: "clients know Never, IfAvailable and Always, spelled like this",
		})
	}
	return nil
}

// topLevel mends the slip of editing the file's own apiVersion instead of an exec
// block's.
func (p *planner) topLevel() error {
	v := p.f.APIVersion
	if !strings.HasPrefix(v.Value, execGroup) {
		return nil
	}
	if err := p.set(v.node, "v1"); err != nil {
		return err
	}
	p.changes = append(p.changes, Change{
		Subject: "the file", Place: v.Place, Field: "apiVersion", From: v.Value, To: "v1",
		Reason: "a kubeconfig's own apiVersion is v1; the exec block has the plugin's",
	})
	p.intents = append(p.intents, func(root map[string]any) error { root["apiVersion"] = "v1"; return nil })
	return nil
}

// set plans a scalar's new text, once however many entries share it.
func (p *planner) set(n *yaml.Node, text string) error {
	if was, ok := p.done[n]; ok {
		if was != text {
			return refuse(n, "several entries share this value by an anchor, and want different ones")
		}
		return nil
	}
	s, err := p.f.setText(n, text)
	if err != nil {
		return err
	}
	p.done[n] = text
	p.splices = append(p.splices, s)
	return nil
}

// insert plans a new key in an exec block, once however many users share the block.
func (p *planner) insert(x *Exec, beside pair, key, text string) error {
	id := insertion{beside.owner, key}
	if p.added[id] {
		return nil
	}
	splices, err := p.f.insertBeside(beside, key, text)
	if err != nil {
		return err
	}
	p.added[id] = true
	p.splices = append(p.splices, splices...)
	return nil
}

func orNull(n *yaml.Node) *yaml.Node {
	if n == nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	}
	return n
}

func article(t jsonType) string {
	switch t {
	case typeArray:
		return "a list"
	case typeObject:
		return "a mapping"
	case typeNull:
		return "null"
	}
	return "a " + string(t)
}

// execOf is a user's exec block in the decoded old values, where an edit makes
// the change that it intends.
func execOf(root map[string]any, i int) (map[string]any, error) {
	users, ok := root["users"].([]any)
	if !ok || i >= len(users) {
		return nil, fmt.Errorf("users is no list")
	}
	entry, _ := users[i].(map[string]any)
	user, _ := entry["user"].(map[string]any)
	exec, ok := user["exec"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("user %d has no exec block", i)
	}
	return exec, nil
}

// target is the version that an entry should have, "" to leave it, and why.
func target(u User, to string) (version, reason string, err error) {
	x := u.Exec
	now := x.Version()
	plugin, known := PluginOf(x.Command.Value, x.ArgValues())
	if to != "" {
		if known && !plugin.Knows(to) {
			n := x.APIVersion.node
			if n == nil {
				n = x.node
			}
			return "", "", refuse(n, "user %s: %s speaks %s only, so %s would stop it; leave --to out to give each entry the version that its plugin speaks",
				u.Name.Value, plugin.Name, strings.Join(plugin.Versions(), " and "), to)
		}
		return to, "asked for with --to " + to, nil
	}
	if known {
		for _, v := range []string{V1, V1beta1} {
			if !plugin.Knows(v) {
				continue
			}
			reason = fmt.Sprintf("the highest that %s speaks", plugin.Name)
			if plugin.Oldest != "" {
				reason += fmt.Sprintf(" (from %s on)", plugin.Oldest)
			}
			return v, reason + ", and clients from 1.22 on accept it", nil
		}
	}
	if slices.Contains([]string{V1, V1beta1}, now) {
		return "", "", nil
	}
	return V1beta1, "every client since 1.11 accepts it; kubecred does not know which versions this plugin speaks (--to v1 asks for the newer)", nil
}
