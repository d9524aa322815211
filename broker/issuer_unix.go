//go:build unix

package broker

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

func programNames(name string) []string { return []string{name} }

// executable says why a path is no program, or nil.
func executable(path string) error {
	is, err := lookAt(path, true)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("no such file")
	default:
		return err
	}
	switch {
	case is.mode.IsDir():
		return errors.New("a directory")
	case is.mode.Perm()&0o111 == 0:
		return errors.New("not executable")
	}
	return nil
}

// prepare says how the issuer is ended: politely, then for good. Where there is
// no terminal it gets a process group of its own, so that its children end with
// it. With a terminal it must stay in the person's group, or it could not ask.
// The function it returns ends what is left of a run that was ended.
func prepare(cmd *exec.Cmd, interactive bool) (sweep func()) {
	if interactive || hasTerminal() {
		// Who does not go is killed when WaitDelay has passed.
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		return func() {}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	return func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// hasTerminal tells whether the process has a controlling terminal.
func hasTerminal() bool {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}
