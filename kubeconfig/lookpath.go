package kubeconfig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Executables returns the programs that a command means, in the order of PATH: a
// bare name is looked for in each folder of PATH, anything else is a path. A
// program that several folders lead to counts once.
func Executables(command, pathList, goos string) []string {
	if command == "" {
		return nil
	}
	if strings.ContainsRune(command, filepath.Separator) || strings.Contains(command, "/") {
		if p, err := exec.LookPath(command); err == nil {
			return []string{p}
		}
		return nil
	}
	var found []string
	seen := map[string]bool{}
	for _, dir := range filepath.SplitList(pathList) {
		if dir == "" {
			continue // os/exec refuses programs of the working directory
		}
		p, err := exec.LookPath(filepath.Join(dir, command))
		if err != nil {
			continue
		}
		if goos != "windows" {
			if info, err := os.Stat(p); err != nil || info.IsDir() {
				continue
			}
		}
		real, err := filepath.EvalSymlinks(p)
		if err != nil {
			real = p
		}
		if !seen[real] {
			seen[real] = true
			found = append(found, p)
		}
	}
	return found
}
