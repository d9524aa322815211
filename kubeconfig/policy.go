package kubeconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Policy is what kubectl's own preferences (kuberc) say about credential plugins
// (k8s.io/kubectl pkg/config/types.go, from kubectl 1.35 on).
type Policy struct {
	// File is the kuberc.
	File string
	// Type is AllowAll, DenyAll, Allowlist, or "" where none is set.
	Type string
	// Commands are the entries of the allowlist: names or clean paths.
	Commands []string
}

// KubercPath is the file that kubectl reads its preferences from, "" where they
// are turned off.
func KubercPath(getenv func(string) string, home string) string {
	switch v := getenv("KUBERC"); {
	case v == "off" || getenv("KUBECTL_KUBERC") == "false":
		return ""
	case v != "":
		return v
	case home == "":
		return ""
	}
	return filepath.Join(home, ".kube", "kuberc")
}

// ReadPolicy reads the plugin policy of a kuberc; a file that is not there has
// none.
func ReadPolicy(path string) (*Policy, error) {
	p := &Policy{File: path}
	if path == "" {
		return p, nil
	}
	data, err := ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc struct {
			APIVersion string `yaml:"apiVersion"`
			Policy     string `yaml:"credentialPluginPolicy"`
			Allowlist  []struct {
				Name    string `yaml:"name"`
				Command string `yaml:"command"`
			} `yaml:"credentialPluginAllowlist"`
		}
		switch err := dec.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return p, nil
		case err != nil:
			return nil, errors.New("not valid YAML")
		}
		if p.Type != "" || doc.Policy == "" || !strings.HasPrefix(doc.APIVersion, "kubectl.config.k8s.io/") {
			continue
		}
		p.Type = doc.Policy
		for _, e := range doc.Allowlist {
			p.Commands = append(p.Commands, e.Name+e.Command)
		}
	}
}

// InForce tells whether the policy keeps any plugin from running.
func (p *Policy) InForce() bool {
	return p != nil && p.Type != "" && p.Type != "AllowAll"
}

// Allows tells whether kubectl would run a command: an entry must be the command
// verbatim, or lead to the same program by way of PATH. find returns the programs
// that a command means.
func (p *Policy) Allows(command string, find func(string) []string) bool {
	if !p.InForce() {
		return true
	}
	if p.Type != "Allowlist" {
		return false
	}
	command = filepath.Clean(command)
	if slices.Contains(p.Commands, command) {
		return true
	}
	program := find(command)
	if len(program) == 0 {
		return false
	}
	for _, entry := range p.Commands {
		if found := find(entry); entry == program[0] || len(found) > 0 && found[0] == program[0] {
			return true
		}
	}
	return false
}

// Entry is what to add to the kuberc so that kubectl runs a command.
func (p *Policy) Entry(command string) string {
	var b strings.Builder
	if p.Type != "Allowlist" {
		b.WriteString("credentialPluginPolicy: Allowlist\n")
	}
	fmt.Fprintf(&b, "credentialPluginAllowlist:\n- name: %s      # kubectl 1.35\n- command: %s   # kubectl 1.36 and newer\n", command, command)
	return b.String()
}
