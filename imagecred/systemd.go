package imagecred

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// unitDirs are where systemd looks for units, the most important last.
var unitDirs = []string{"/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system"}

// flagFiles hold flags of the kubelet as variables, beside those that units name.
var flagFiles = []string{
	"/var/lib/kubelet/kubeadm-flags.env", // kubeadm
	"/etc/default/kubelet", "/etc/sysconfig/kubelet",
	"/etc/eks/kubelet/environment", // nodeadm
}

// kubeletUnit reads how systemd would start the kubelet.
func kubeletUnit(root string) (Kubelet, bool) {
	u := unit{root: root, env: map[string]string{}}
	for _, dir := range unitDirs {
		u.read(filepath.Join(dir, "kubelet.service"))
	}
	// Drop-ins of all directories, in the order of their names; of equal names
	// the most important directory's counts.
	dropIns := map[string]string{}
	for _, dir := range unitDirs {
		entries, err := os.ReadDir(filepath.Join(root, dir, "kubelet.service.d"))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".conf") {
				dropIns[e.Name()] = filepath.Join(dir, "kubelet.service.d", e.Name())
			}
		}
	}
	names := make([]string, 0, len(dropIns))
	for name := range dropIns {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		u.read(dropIns[name])
	}
	for _, name := range flagFiles {
		u.environmentFile(name)
	}
	if u.start == "" {
		return u.fromVariables()
	}
	k, ok := fromArgs(u.expand(splitWords(u.start)))
	if !ok {
		return Kubelet{}, false
	}
	k.Source = u.source
	return k.below(root), true
}

// unit is what matters of a unit and its drop-ins.
type unit struct {
	root, start, source string
	env                 map[string]string
	variables           []string // files whose variables hold flags
}

func (u *unit) read(name string) {
	data, err := readSmall(filepath.Join(u.root, name))
	if err != nil {
		return
	}
	text := strings.ReplaceAll(string(data), "\\\n", " ")
	for line := range strings.SplitSeq(text, "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, ";") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "ExecStart":
			u.start = strings.TrimLeft(value, "@-:+!") // an empty one clears those before
			u.source = name
		case "Environment":
			for _, word := range splitWords(value) {
				if k, v, ok := strings.Cut(word, "="); ok {
					u.env[k] = v
				}
			}
		case "EnvironmentFile":
			u.environmentFile(strings.TrimPrefix(value, "-"))
		}
	}
}

func (u *unit) environmentFile(name string) {
	data, err := readSmall(filepath.Join(u.root, name))
	if err != nil {
		return
	}
	for line := range strings.SplitSeq(strings.ReplaceAll(string(data), "\\\n", " "), "\n") {
		k, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(k, "#") {
			continue
		}
		if words := splitWords(v); len(words) == 1 {
			v = words[0]
		}
		u.env[strings.TrimSpace(strings.TrimPrefix(k, "export "))] = v
		if strings.Contains(v, "--"+flagConfig) || strings.Contains(v, "--"+flagBinDir) {
			u.variables = append(u.variables, name)
		}
	}
}

// expand puts variables in, as systemd does: $NAME as a word of its own becomes
// its words, ${NAME} anywhere is text.
func (u *unit) expand(words []string) []string {
	var out []string
	for _, w := range words {
		if name, ok := strings.CutPrefix(w, "$"); ok && !strings.HasPrefix(name, "{") && name != "" {
			out = append(out, splitWords(u.env[name])...)
			continue
		}
		out = append(out, u.braces(w))
	}
	return out
}

func (u *unit) braces(w string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(w, "${")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			b.WriteString("${" + rest)
			return b.String()
		}
		b.WriteString(u.env[name])
		w = after
	}
}

// fromVariables reads flags from files where no unit was found that uses them.
func (u *unit) fromVariables() (Kubelet, bool) {
	if len(u.variables) == 0 {
		return Kubelet{}, false
	}
	names := make([]string, 0, len(u.env))
	for name := range u.env {
		names = append(names, name)
	}
	slices.Sort(names)
	var words []string
	for _, name := range names {
		words = append(words, splitWords(u.env[name])...)
	}
	k := kubeletFlags(words)
	k.Source = u.variables[0]
	return k.below(u.root), k.Config != "" || k.BinDir != ""
}

// splitWords splits a line at spaces, as systemd does: quotes keep words whole.
func splitWords(s string) []string {
	var out []string
	var word strings.Builder
	inWord := false
	var quote rune
	for _, r := range s {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t':
			if inWord {
				out = append(out, word.String())
				word.Reset()
				inWord = false
			}
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	if inWord {
		out = append(out, word.String())
	}
	return out
}
