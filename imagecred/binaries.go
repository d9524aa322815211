package imagecred

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// lintBinaries looks for the plugins as the kubelet does when it starts. It runs
// nothing.
func lintBinaries(c *Config, dir string) []finding.Finding {
	if _, err := os.Stat(dir); err != nil {
		f := finding.New(codeBinary, "plugin directory", "the directory of the plugins cannot be looked at: "+reasonOf(err).Error())
		f.Where.File = dir
		f.Fix.Summary = "create it and put the plugins there, or give the kubelet's --image-credential-provider-bin-dir"
		if errors.Is(err, fs.ErrNotExist) {
			f.Message = "the directory of the plugins does not exist, and the kubelet does not start without it"
			f.Evidence["kubelet"] = fmt.Sprintf("plugin binary directory %s did not exist", dir)
		}
		return []finding.Finding{f}
	}
	var out []finding.Finding
	for i := range c.Providers {
		p := &c.Providers[i]
		if p.Name == "" || strings.ContainsAny(p.Name, "/ ") || p.Name == "." || p.Name == ".." {
			continue
		}
		out = append(out, p.lintBinary(dir)...)
	}
	return out
}

func (p *Provider) lintBinary(dir string) []finding.Finding {
	path := filepath.Join(dir, p.Name)
	found := func(code, message, fix string) []finding.Finding {
		f := finding.New(code, p.subject(), message)
		f.Where = p.Where("name")
		f.Fix.Summary = fix
		f.Evidence["binary"] = path
		return []finding.Finding{f}
	}
	binary, err := exec.LookPath(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		out := found(codeBinary, "no binary "+path+": the kubelet does not start, and its message does not name the file", "install the plugin there, or take the provider out")
		if strings.HasSuffix(p.Name, ".exe") {
			return out
		}
		if near := nearName(dir, p.Name); near != "" {
			out[0].Details = append(out[0].Details, "the directory has "+shown(near))
			out[0].Fix.Summary = "write name: " + shown(near) + ", or install the plugin under the name that is written"
		}
		out[0].Evidence["kubelet"] = "plugin binary executable  did not exist"
		return out
	case errors.Is(err, fs.ErrPermission):
		return found(codeBinary, path+" is not executable: the kubelet does not start", "chmod 0755 "+path)
	case err != nil && !errors.Is(err, exec.ErrDot):
		return found(codeBinary, path+" cannot be used as a program: "+reasonOf(cutExec(err)).Error(), "put the plugin's binary there")
	case err != nil:
		binary = path
	}
	return p.speaks(binary, found)
}

func cutExec(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// nearName finds a file that was probably meant.
func nearName(dir, name string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	best, distance := "", 1000
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		d := editDistance(strings.ToLower(e.Name()), strings.ToLower(name))
		if strings.HasPrefix(e.Name(), name) || strings.HasPrefix(name, e.Name()) {
			d = 1 // a version, an architecture or an ending more
		}
		if d < distance {
			best, distance = e.Name(), d
		}
	}
	if distance > max(2, len(name)/4) {
		return ""
	}
	return best
}

// otherProtocol are modules whose programs speak the protocol of docker's
// credential helpers.
var otherProtocol = []string{
	"github.com/awslabs/amazon-ecr-credential-helper",
	"github.com/docker/docker-credential-helpers",
	"github.com/GoogleCloudPlatform/docker-credential-gcr",
	"github.com/chrismellard/docker-credential-acr-env",
}

// speaks reads from a Go program which versions of the protocol it was built
// with: k8s.io/kubelet has v1 since 0.26, v1beta1 since 0.24.
func (p *Provider) speaks(binary string, found func(code, message, fix string) []finding.Finding) []finding.Finding {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil // not written in Go, or a script
	}
	for _, other := range otherProtocol {
		if strings.HasPrefix(info.Main.Path, other) || strings.HasPrefix(info.Path, other) {
			return []finding.Finding{p.dockerHelper(binary + " is a docker credential helper (" + info.Path + "), which speaks another protocol")}
		}
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		if dep.Path != "k8s.io/kubelet" {
			continue
		}
		rest, ok := strings.CutPrefix(dep.Version, "v0.")
		if !ok {
			return nil
		}
		built, err := ParseVersion("1." + rest)
		if err != nil || built.Knows(Feature(p.APIVersion)) || since[Feature(p.APIVersion)] == 0 {
			return nil
		}
		return found(codeProtocol, fmt.Sprintf("%s was built with k8s.io/kubelet %s, which has no %s", binary, dep.Version, p.APIVersion),
			fmt.Sprintf("write apiVersion: %s, or install a newer plugin", built.newestPlugin()))
	}
	return nil
}
