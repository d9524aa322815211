package kubeconfig

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Broker is the program that [File.Wrap] puts before plugins.
const Broker = "kubecred-exec"

// brokerArgs are the broker's own arguments before the plugin's.
var brokerArgs = []string{"client", "--"}

// Wrapped tells whether an exec block runs its plugin through the broker, and
// gives the plugin's command and arguments.
func (e *Exec) Wrapped() (command string, args []string, ok bool) {
	i, ok := e.dashes()
	if !ok {
		return "", nil, false
	}
	all := e.ArgValues()
	return all[i+1], all[i+2:], true
}

// dashes is the place of the -- that ends the broker's own arguments.
func (e *Exec) dashes() (int, bool) {
	args := e.ArgValues()
	if commandBase(e.Command.Value) != Broker || len(args) == 0 || args[0] != "client" {
		return 0, false
	}
	i := slices.Index(args, "--")
	return i, i > 0 && i+1 < len(args)
}

// Issuer is the command and arguments of the plugin itself, whether or not the
// broker stands before it.
func (e *Exec) Issuer() (command string, args []string) {
	if command, args, ok := e.Wrapped(); ok {
		return command, args
	}
	return e.Command.Value, e.ArgValues()
}

// Wrap plans to run each plugin through the broker: `broker client --` goes before
// the command that is there. broker is the name or path under which clients find
// kubecred-exec. [File.Unwrap] gives the same bytes back.
func (f *File) Wrap(broker string) (*Edit, error) {
	p := newPlanner(f)
	for i := range f.Users {
		if f.Users[i].Exec == nil {
			continue
		}
		if err := p.wrap(i, broker); err != nil {
			return nil, err
		}
	}
	return p.edit()
}

// RelativeCommand tells whether the command is looked for beside the kubeconfig,
// where no other program finds it.
func (x *Exec) RelativeCommand() bool {
	cmd := x.Command.Value
	return strings.ContainsAny(cmd, `/\`) && cmd[0] != '/' && cmd[0] != '~' && !isWindowsAbs(cmd)
}

func (p *planner) wrap(i int, broker string) error {
	u := p.f.Users[i]
	x := u.Exec
	who := subject("user", "users", i, u.Name)
	note := func(at Place, format string, args ...any) error {
		p.notes = append(p.notes, Note{who, at, fmt.Sprintf(format, args...)})
		return nil
	}
	cmd := x.Command.Value
	switch {
	case commandBase(cmd) == Broker:
		return nil
	case cmd == "":
		return note(x.Place, "it has no command")
	case x.RelativeCommand():
		return note(x.Command.Place, "its command %s is relative to the kubeconfig, which %s does not see: write the absolute path first", cmd, Broker)
	}
	command, _ := get(x.node, "command")
	raw, ok := p.f.scalarSpan(follow(command.value))
	if !ok {
		return note(x.Command.Place, "its command stands on several lines")
	}
	if err := p.set(follow(command.value), broker); err != nil {
		return err
	}
	head := append(slices.Clone(brokerArgs), cmd)
	if err := p.prepend(x, command, string(p.f.Data[raw.start:raw.end])); err != nil {
		return err
	}
	p.changes = append(p.changes, Change{
		Subject: who, Place: x.Command.Place, Field: "command", From: cmd,
		To: broker + " client -- " + cmd, Reason: "answers from a cache, runs the plugin once for many, and translates between versions",
	})
	p.intend(i, func(exec map[string]any) {
		exec["command"] = broker
		var args []any
		for _, a := range head {
			args = append(args, a)
		}
		old, _ := exec["args"].([]any)
		exec["args"] = append(args, old...)
	})
	return nil
}

// intend notes a change to the decoded exec block of a user.
func (p *planner) intend(i int, change func(exec map[string]any)) {
	p.intents = append(p.intents, func(root map[string]any) error {
		exec, err := execOf(root, i)
		if err != nil {
			return err
		}
		change(exec)
		return nil
	})
}

// How `args` was written before the broker's three arguments were all of it. The
// white space between them keeps it, so that unwrap can give the bytes back:
// nothing else in a kubeconfig survives JSON, YAML and both styles.
const (
	wasEmpty   = ", |, "   // args: []
	wasMissing = ",  |, "  // no args at all
	wasNull    = ", |,  "  // args: null
	wasTilde   = ",  |,  " // args: ~
	wasNothing = ",   |, " // args:
)

// three writes the broker's arguments as the whole content of a list in brackets.
func three(style func(string) string, raw, was string) string {
	first, second, _ := strings.Cut(was, "|")
	return style(brokerArgs[0]) + first + style(brokerArgs[1]) + second + raw
}

// prepend puts the broker's arguments and the plugin's command, as it is written,
// before the arguments that are there.
func (p *planner) prepend(x *Exec, command pair, raw string) error {
	args, has := get(x.node, "args")
	list := follow(orNull(args.value))
	id := insertion{list, "args"}
	if !has {
		id = insertion{command.owner, "args"}
	}
	if has && args.value.Kind == yaml.AliasNode && list.Kind != yaml.SequenceNode {
		return refuse(args.value, "args is an alias of something that is no list")
	}
	if p.added[id] {
		return nil
	}
	p.added[id] = true
	switch {
	case !has:
		return p.prependMissing(command, raw)
	case typeOf(list) == typeNull:
		return p.prependNull(args, list, raw)
	case list.Kind != yaml.SequenceNode:
		return refuse(list, "args is %s, where a list is wanted", article(typeOf(list)))
	case list.Style&yaml.FlowStyle != 0:
		return p.prependFlow(args, list, raw)
	}
	return p.prependBlock(list, raw)
}

func (p *planner) prependMissing(command pair, raw string) error {
	style := p.argStyle(command.key, nil)
	text := "[" + three(style, flowSafe(raw), wasMissing) + "]"
	splices, err := p.f.insertText(command, "args", text)
	if err != nil {
		return err
	}
	p.splices = append(p.splices, splices...)
	return nil
}

func (p *planner) prependNull(args pair, null *yaml.Node, raw string) error {
	was := map[string]string{"null": wasNull, "~": wasTilde, "": wasNothing}[null.Value]
	if was == "" {
		was = wasNull
	}
	s, ok := p.f.scalarSpan(null)
	if !ok || null.Anchor != "" {
		return refuse(null, "args is null in a way that can't be replaced")
	}
	text := "[" + three(p.argStyle(args.key, nil), flowSafe(raw), was) + "]"
	if s.start == s.end && s.start > 0 && p.f.Data[s.start-1] == ':' {
		text = " " + text
	}
	p.splices = append(p.splices, splice{s, text})
	return nil
}

func (p *planner) prependFlow(args pair, list *yaml.Node, raw string) error {
	at := p.f.skipProperties(p.f.at(list))
	if at < 0 || at >= len(p.f.Data) || p.f.Data[at] != '[' {
		return refuse(list, "the list can't be found")
	}
	style := p.argStyle(args.key, list)
	if len(list.Content) == 0 {
		p.splices = append(p.splices, splice{span{at + 1, at + 1}, three(style, flowSafe(raw), wasEmpty)})
		return nil
	}
	first := p.f.at(list.Content[0])
	gap := p.f.itemGap(list, first)
	text := style(brokerArgs[0]) + "," + gap + style(brokerArgs[1]) + "," + gap + flowSafe(raw) + "," + gap
	p.splices = append(p.splices, splice{span{first, first}, text})
	return nil
}

// itemGap is the white space between the items of a list in brackets: a line of
// its own for each where the first has one.
func (f *File) itemGap(list *yaml.Node, first int) string {
	line, _ := f.lineColumn(first)
	start, _, _ := f.lineSpan(line)
	if before := string(f.Data[start:first]); strings.Trim(before, " \t") == "" {
		return f.newline(line) + before
	}
	if len(list.Content) > 1 {
		if s, ok := f.scalarSpan(list.Content[0]); ok {
			between := string(f.Data[s.end:max(s.end, f.at(list.Content[1]))])
			if gap, ok := strings.CutPrefix(between, ","); ok && strings.Trim(gap, " ") == "" {
				return gap
			}
		}
	}
	return " "
}

func (p *planner) prependBlock(list *yaml.Node, raw string) error {
	first := p.f.at(list.Content[0])
	line, _ := p.f.lineColumn(first)
	start, _, _ := p.f.lineSpan(line)
	before := string(p.f.Data[start:first])
	if strings.Trim(before, " ") != "-" || !strings.HasPrefix(strings.TrimLeft(before, " "), "-") {
		return refuse(list.Content[0], "the first argument does not stand on a line of its own")
	}
	style := p.argStyle(nil, list)
	end := p.f.newline(line)
	text := before + style(brokerArgs[0]) + end + before + style(brokerArgs[1]) + end + before + raw + end
	p.splices = append(p.splices, splice{span{start, start}, text})
	return nil
}

// argStyle writes a plain word in the quotes that its neighbours have.
func (p *planner) argStyle(key, list *yaml.Node) func(string) string {
	style := yaml.Style(0)
	if key != nil {
		style = key.Style &^ yaml.TaggedStyle
	}
	if list != nil && len(list.Content) > 0 && follow(list.Content[0]).Kind == yaml.ScalarNode {
		style = list.Content[0].Style &^ yaml.TaggedStyle
	}
	switch style {
	case yaml.DoubleQuotedStyle:
		return quote
	case yaml.SingleQuotedStyle:
		return func(s string) string { return "'" + s + "'" }
	}
	return func(s string) string { return s }
}

// flowSafe writes a scalar, as it stands in a block, so that it may stand in
// brackets too.
func flowSafe(raw string) string {
	if raw != "" && raw[0] != '"' && raw[0] != '\'' && strings.ContainsAny(raw, "[]{},") {
		return quote(raw)
	}
	return raw
}
