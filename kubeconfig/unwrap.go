package kubeconfig

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Unwrap plans to take the broker away from each exec block that has it, the
// inverse of [File.Wrap].
func (f *File) Unwrap() (*Edit, error) {
	p := newPlanner(f)
	for i := range f.Users {
		if x := f.Users[i].Exec; x != nil {
			if err := p.unwrap(i); err != nil {
				return nil, err
			}
		}
	}
	return p.edit()
}

func (p *planner) unwrap(i int) error {
	u := p.f.Users[i]
	x := u.Exec
	dashes, ok := x.dashes()
	if !ok {
		return nil
	}
	own := dashes + 2 // the broker's arguments and the plugin's command
	command, _ := get(x.node, "command")
	args, _ := get(x.node, "args")
	list := follow(args.value)
	raw, rawOK := p.f.scalarSpan(follow(list.Content[own-1]))
	at, atOK := p.f.scalarSpan(follow(command.value))
	if !rawOK || !atOK {
		return refuse(x.Command.node, "the command stands on several lines")
	}
	issuer := list.Content[own-1].Value
	if !p.added[insertion{list, "args"}] {
		p.added[insertion{list, "args"}] = true
		if err := p.cut(command, args, list, own); err != nil {
			return err
		}
	}
	text := string(p.f.Data[raw.start:raw.end])
	if was, done := p.done[follow(command.value)]; done && was != text {
		return refuse(x.Command.node, "several entries share the command by an anchor, and have different plugins")
	} else if !done {
		p.done[follow(command.value)] = text
		p.splices = append(p.splices, splice{at, text})
	}
	p.changes = append(p.changes, Change{
		Subject: subject("user", "users", i, u.Name), Place: x.Command.Place, Field: "command",
		From: x.Command.Value + " client -- " + issuer, To: issuer,
	})
	p.intend(i, func(exec map[string]any) {
		exec["command"] = issuer
		old, _ := exec["args"].([]any)
		switch rest := old[own:]; {
		case len(rest) > 0:
			exec["args"] = rest
		case p.gone[list] == "missing":
			delete(exec, "args")
		case p.gone[list] == "null":
			exec["args"] = nil
		default:
			exec["args"] = []any{}
		}
	})
	return nil
}

// cut takes the first items of a list away.
func (p *planner) cut(command, args pair, list *yaml.Node, own int) error {
	if list.Style&yaml.FlowStyle != 0 {
		return p.cutFlow(command, args, list, own)
	}
	if own == len(list.Content) {
		return refuse(list, "the list would be left empty: write the plugin's command by hand")
	}
	for _, n := range list.Content[:own] {
		line, _ := p.f.lineColumn(p.f.at(n))
		start, _, end := p.f.lineSpan(line)
		if s, ok := p.f.scalarSpan(n); !ok || strings.Trim(string(p.f.Data[start:p.f.at(n)]), " ") != "-" || s.end > end {
			return refuse(n, "an argument does not stand on a line of its own")
		}
		p.splices = append(p.splices, splice{span{start, end}, ""})
	}
	return nil
}

func (p *planner) cutFlow(command, args pair, list *yaml.Node, own int) error {
	first := p.f.at(list.Content[0])
	if own < len(list.Content) {
		p.splices = append(p.splices, splice{span{first, p.f.at(list.Content[own])}, ""})
		return nil
	}
	last, ok := p.f.scalarSpan(list.Content[own-1])
	if !ok {
		return refuse(list, "the list has items over several lines")
	}
	open, end := first-1, last.end
	if own != len(brokerArgs)+1 || p.f.Data[open] != '[' || end >= len(p.f.Data) || p.f.Data[end] != ']' || args.value.Kind == yaml.AliasNode {
		p.splices = append(p.splices, splice{span{first, end}, ""})
		return nil
	}
	whole := span{open, end + 1}
	switch p.gaps(list) {
	case wasMissing:
		cuts, err := p.f.pairSpans(command, args, whole.end)
		if err != nil { // somebody has written beside it since: leave an empty list
			p.splices = append(p.splices, splice{span{first, end}, ""})
			break
		}
		p.gone[list] = "missing"
		for _, s := range cuts {
			p.splices = append(p.splices, splice{s, ""})
		}
	case wasNull:
		p.gone[list] = "null"
		p.splices = append(p.splices, splice{whole, "null"})
	case wasTilde:
		p.gone[list] = "null"
		p.splices = append(p.splices, splice{whole, "~"})
	case wasNothing:
		p.gone[list] = "null"
		if open > 0 && p.f.Data[open-1] == ' ' {
			whole.start--
		}
		p.splices = append(p.splices, splice{whole, ""})
	default:
		p.splices = append(p.splices, splice{span{first, end}, ""})
	}
	return nil
}

// gaps is what stands between the broker's three arguments.
func (p *planner) gaps(list *yaml.Node) string {
	var out []string
	for i := range len(brokerArgs) {
		s, ok := p.f.scalarSpan(list.Content[i])
		next := p.f.at(list.Content[i+1])
		if !ok || next < s.end {
			return ""
		}
		out = append(out, string(p.f.Data[s.end:next]))
	}
	return strings.Join(out, "|")
}

// pairSpans are the ranges to cut so that a pair which was inserted beside another
// is gone: its line in a block, and in brackets the comma that came with it.
func (f *File) pairSpans(beside, p pair, valueEnd int) ([]span, error) {
	keyAt := f.at(p.key)
	line, _ := f.lineColumn(keyAt)
	start, textEnd, end := f.lineSpan(line)
	alone := strings.Trim(string(f.Data[start:keyAt]), " \t") == ""
	if p.owner.Style&yaml.FlowStyle == 0 {
		if !alone || strings.TrimSpace(string(f.Data[valueEnd:textEnd])) != "" {
			return nil, refuse(p.key, "args does not stand on a line of its own")
		}
		if textEnd == end && line > 1 { // the last line, which has no break of its own
			start -= len(f.lineBreak(line - 1))
		}
		return []span{{start, end}}, nil
	}
	rest := string(f.Data[valueEnd:textEnd])
	if alone && strings.HasPrefix(rest, ",") && strings.TrimSpace(rest[1:]) == "" {
		// Its own line and comma, as below a line that ends in one.
		return []span{{start - len(f.lineBreak(line-1)), textEnd}}, nil
	}
	i := keyAt
	for i > 0 && isSpace(f.Data[i-1]) {
		i--
	}
	if i > 0 && f.Data[i-1] == ',' {
		return []span{{i - 1, valueEnd}}, nil
	}
	// The comma stands before a comment on the line above.
	besideEnd, err := f.valueEnd(beside)
	if err != nil || !alone || f.Data[besideEnd] != ',' {
		return nil, refuse(p.key, "args does not stand behind a comma")
	}
	if l, _ := f.lineColumn(besideEnd); l != line-1 {
		return nil, refuse(p.key, "args does not stand behind a comma")
	}
	return []span{{besideEnd, besideEnd + 1}, {start - len(f.lineBreak(line-1)), valueEnd}}, nil
}
