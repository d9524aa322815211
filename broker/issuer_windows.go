package broker

import (
	"errors"
	"os"
	"os/exec"
	"strings"
)

// programNames are the names under which Windows runs a program.
func programNames(name string) []string {
	if strings.Contains(name, ".") {
		return []string{name}
	}
	exts := os.Getenv("PATHEXT")
	if exts == "" {
		exts = ".COM;.EXE;.BAT;.CMD"
	}
	var names []string
	for ext := range strings.SplitSeq(exts, ";") {
		names = append(names, name+strings.ToLower(ext))
	}
	return names
}

// executable says why a path is no program, or nil.
func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return errors.New("no such file")
	case info.IsDir():
		return errors.New("a directory")
	}
	return nil
}

func prepare(*exec.Cmd, bool) (sweep func()) { return func() {} }
