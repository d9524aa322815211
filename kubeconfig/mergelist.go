package kubeconfig

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// args writes a list of arguments in place of the one that is there, in its style.
func (m *merger) args(x *Exec, want []string) error {
	p, has := get(x.node, "args")
	if !has || typeOf(p.value) == typeNull {
		items := make([]any, len(want))
		for i, w := range want {
			items[i] = w
		}
		return m.putList(x, p, has, "args", items)
	}
	list := follow(p.value)
	if list.Kind != yaml.SequenceNode || p.value.Kind == yaml.AliasNode {
		return refuse(p.value, "args is not a list of its own")
	}
	if list.Style&yaml.FlowStyle != 0 || len(list.Content) == 0 {
		at := m.f.skipProperties(m.f.at(list))
		end, ok := m.f.nodeEnd(list)
		if !ok || m.f.Data[at] != '[' {
			return refuse(list, "the end of args can't be told")
		}
		style := m.argStyle(p.key, list)
		words := make([]string, len(want))
		for i, w := range want {
			if words[i] = style(w); words[i] == w {
				words[i] = scalarText(w, true)
			}
		}
		gap := ", "
		if len(list.Content) > 0 {
			gap = "," + m.f.itemGap(list, m.f.at(list.Content[0]))
			at = m.f.at(list.Content[0]) - 1
			if last, ok := m.f.nodeEnd(list.Content[len(list.Content)-1]); ok {
				end = last + 1
			}
		}
		m.splices = append(m.splices, splice{span{at + 1, end - 1}, strings.Join(words, gap)})
		return nil
	}
	s, prefix, newline, err := m.f.blockItems(list)
	if err != nil {
		return err
	}
	var b strings.Builder
	for i, w := range want {
		if i > 0 {
			b.WriteString(newline + prefix)
		}
		b.WriteString(scalarText(w, false))
	}
	m.splices = append(m.splices, splice{s, b.String()})
	return nil
}

// blockItems is the range from a block list's first item to the end of its last,
// and what stands before an item on its line.
func (f *File) blockItems(list *yaml.Node) (s span, prefix, newline string, err error) {
	first := f.at(list.Content[0])
	line, _ := f.lineColumn(first)
	start, _, _ := f.lineSpan(line)
	prefix = string(f.Data[start:first])
	end, ok := f.nodeEnd(list.Content[len(list.Content)-1])
	if !ok || strings.Trim(prefix, " ") != "-" {
		return s, "", "", refuse(list, "the items of the list can't be told apart")
	}
	return span{first, end}, prefix, f.newline(line), nil
}

// putList writes a list where there is none yet: key and list beside the command,
// or the list in place of null.
func (m *merger) putList(x *Exec, p pair, has bool, key string, items []any) error {
	text := flow(items, "", "", "")
	if !has {
		command, ok := get(x.node, "command")
		if !ok {
			return refuse(x.node, "the exec block has no command")
		}
		splices, err := m.f.insertText(command, key, text)
		m.splices = append(m.splices, splices...)
		return err
	}
	s, ok := m.f.scalarSpan(p.value)
	if !ok {
		return refuse(p.value, "%s is null in a way that can't be replaced", key)
	}
	if s.start == s.end && s.start > 0 && m.f.Data[s.start-1] == ':' {
		text = " " + text
	}
	m.splices = append(m.splices, splice{s, text})
	return nil
}

// env gives exec.env the variables that it lacks; others stay.
func (m *merger) env(i int, u User, want [][2]string, who string) error {
	for _, v := range want {
		at := slices.IndexFunc(u.Exec.Env, func(e EnvVar) bool { return e.Name.Value == v[0] })
		change := Change{Subject: who, Place: u.Exec.Place, Field: "env " + v[0], To: v[1]}
		switch {
		case at >= 0 && u.Exec.Env[at].Value.Value == v[1]:
			continue
		case at >= 0 && u.Exec.Env[at].Value.node != nil:
			change.Place, change.From = u.Exec.Env[at].Value.Place, u.Exec.Env[at].Value.Value
			if err := m.set(u.Exec.Env[at].Value.node, v[1]); err != nil {
				return err
			}
			m.intend(i, func(exec map[string]any) { exec["env"].([]any)[at].(map[string]any)["value"] = v[1] })
		default:
			item := fieldList{{"name", v[0]}, {"value", v[1]}}
			p, has := get(u.Exec.node, "env")
			if !has || typeOf(p.value) == typeNull {
				if err := m.putList(u.Exec, p, has, "env", []any{item}); err != nil {
					return err
				}
			} else if err := m.appendItems(follow(p.value), []fieldList{item}); err != nil {
				return err
			}
			m.intend(i, func(exec map[string]any) {
				list, _ := exec["env"].([]any)
				exec["env"] = append(list, plainValue(item))
			})
		}
		m.changes = append(m.changes, change)
	}
	return nil
}

// append writes the new entries of a section at the end of its list.
func (m *merger) append(section string) error {
	fresh := m.fresh[section]
	if len(fresh) == 0 {
		return nil
	}
	p, has := get(m.f.root, section)
	if !has {
		return m.appendSection(section, fresh)
	}
	list := follow(p.value)
	switch {
	case list.Kind == yaml.SequenceNode && len(list.Content) > 0:
		return m.appendItems(list, fresh)
	case list.Kind != yaml.SequenceNode && typeOf(list) != typeNull || p.value.Kind == yaml.AliasNode:
		return refuse(p.value, "%s is %s, not a list of its own", section, article(typeOf(list)))
	case p.owner.Style&yaml.FlowStyle != 0:
		return m.replaceInFlow(p, list, fresh)
	}
	return m.replaceInBlock(p, list, fresh)
}

// appendSection writes a section that the file does not have, behind its last key.
func (m *merger) appendSection(section string, fresh []fieldList) error {
	last, ok := m.neighbour(m.f.root)
	if !ok {
		return refuse(m.f.root, "kubecred can't tell where to put %s", section)
	}
	if m.f.root.Style&yaml.FlowStyle != 0 {
		line, _ := m.f.lineColumn(m.f.at(last.key))
		start, _, _ := m.f.lineSpan(line)
		indent, unit := string(m.f.Data[start:m.f.at(last.key)]), ""
		if strings.Trim(indent, " \t") == "" && line > 1 {
			unit = indent
		} else {
			indent = ""
		}
		splices, err := m.f.insertText(last, section, flow(anyItems(fresh), indent, unit, m.f.newline(line)))
		m.splices = append(m.splices, splices...)
		return err
	}
	end, ok := m.f.nodeEnd(last.value)
	if !ok {
		return refuse(last.value, "the end of the file's last value can't be told")
	}
	line, _ := m.f.lineColumn(end)
	_, textEnd, lineEnd := m.f.lineSpan(line)
	newline := m.f.newline(line)
	text := section + ":" + newline + block(anyItems(fresh), "", newline)
	if textEnd == lineEnd {
		text = newline + text
	} else {
		text += newline
	}
	m.splices = append(m.splices, splice{span{lineEnd, lineEnd}, text})
	return nil
}

func anyItems(list []fieldList) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = e
	}
	return out
}

// replaceInBlock puts block entries where an empty list or null stands.
func (m *merger) replaceInBlock(p pair, list *yaml.Node, fresh []fieldList) error {
	keySpan, ok := m.f.scalarSpan(p.key)
	end, okEnd := m.f.nodeEnd(list)
	if !ok || !okEnd || list.Anchor != "" {
		return refuse(p.value, "the list can't be replaced")
	}
	colon := keySpan.end + 1
	line, _ := m.f.lineColumn(end)
	_, textEnd, lineEnd := m.f.lineSpan(line)
	newline := m.f.newline(line)
	m.splices = append(m.splices, splice{span{colon, end}, ""})
	text := block(anyItems(fresh), "", newline)
	if textEnd == lineEnd {
		text = newline + text
	} else {
		text += newline
	}
	m.splices = append(m.splices, splice{span{lineEnd, lineEnd}, text})
	return nil
}

// replaceInFlow puts entries where an empty list or null stands in brackets.
func (m *merger) replaceInFlow(p pair, list *yaml.Node, fresh []fieldList) error {
	end, ok := m.f.nodeEnd(list)
	if !ok || list.Anchor != "" {
		return refuse(p.value, "the list can't be replaced")
	}
	line, _ := m.f.lineColumn(m.f.at(p.key))
	start, _, _ := m.f.lineSpan(line)
	indent, unit := string(m.f.Data[start:m.f.at(p.key)]), ""
	if strings.Trim(indent, " \t") == "" && line > 1 {
		unit = indent
	} else {
		indent = ""
	}
	m.splices = append(m.splices, splice{span{m.f.at(list), end}, flow(anyItems(fresh), indent, unit, m.f.newline(line))})
	return nil
}

// appendItems writes entries behind the last one of a list, in its style.
func (m *merger) appendItems(list *yaml.Node, fresh []fieldList) error {
	last := list.Content[len(list.Content)-1]
	end, ok := m.f.nodeEnd(last)
	if !ok {
		return refuse(last, "the end of the last entry can't be told")
	}
	at := m.f.at(last)
	line, _ := m.f.lineColumn(at)
	start, _, _ := m.f.lineSpan(line)
	before := string(m.f.Data[start:at])
	newline := m.f.newline(line)
	if list.Style&yaml.FlowStyle != 0 {
		gap, indent, unit := " ", "", ""
		if strings.Trim(before, " \t") == "" {
			gap, indent, unit = newline+before, before, "  "
			if strings.HasPrefix(before, "\t") {
				unit = "\t"
			}
		}
		for _, e := range fresh {
			m.splices = append(m.splices, splice{span{end, end}, "," + gap + flow(e, indent, unit, newline)})
		}
		return nil
	}
	if strings.Trim(before, " ") != "-" {
		return refuse(last, "the last entry does not begin on a line of its own")
	}
	endLine, _ := m.f.lineColumn(end)
	_, textEnd, lineEnd := m.f.lineSpan(endLine)
	indent := strings.Repeat(" ", len(before))
	dash := strings.Repeat(" ", strings.IndexByte(before, '-')) + "-" + strings.Repeat(" ", len(before)-strings.IndexByte(before, '-')-1)
	var b strings.Builder
	for _, e := range fresh {
		if textEnd == lineEnd {
			b.WriteString(newline)
		}
		b.WriteString(dash + block(e, indent, newline))
		if textEnd != lineEnd {
			b.WriteString(newline)
		}
	}
	m.splices = append(m.splices, splice{span{lineEnd, lineEnd}, b.String()})
	return nil
}
