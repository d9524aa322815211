package broker

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// KeyOptions say what goes into the key beside what always does.
type KeyOptions struct {
	// Env are names of variables, with * at the end for all that begin so, that
	// count although they are on the list of those that do not.
	Env []string
	// IgnoreEnv are names that do not count.
	IgnoreEnv []string
	// Files are files whose contents count.
	Files []string
}

// volatileEnv are the variables that differ from one shell, terminal or start of
// a service to the next and never say who somebody is. All others count: a
// variable too many in the key costs a run of the issuer, one too few hands out
// somebody else's credential. The client adds the exec block's own variables to
// the environment, and nothing tells them from the rest.
var volatileEnv = []string{
	// shells
	"PWD", "OLDPWD", "SHLVL", "_", "PATH", "PS1", "PS2", "PS3", "PS4", "PROMPT*", "HIST*", "RANDOM", "SECONDS", "EDITOR", "VISUAL",
	"PAGER", "LESS*", "LS_COLORS", "LSCOLORS", "COLUMNS", "LINES", "MAIL", "MAILCHECK", "MANPATH", "INFOPATH", "FPATH",
	"BASH_*", "ZSH*", "FISH_*", "STARSHIP_*", "DIRENV_*", "ATUIN_*", "MCFLY_*", "FZF_*", "NO_COLOR", "CLICOLOR*", "FORCE_COLOR",
	// terminals
	"TERM", "TERM_*", "TERMINFO*", "COLORTERM", "COLORFGBG", "WINDOWID", "WINDOW", "TTY", "GPG_TTY", "TMUX*", "STY", "ITERM_*", "LC_TERMINAL*",
	"VSCODE_*", "KITTY_*", "ALACRITTY_*", "WEZTERM_*", "WT_*", "KONSOLE_*", "GNOME_TERMINAL_*", "VTE_VERSION", "ZELLIJ*",
	"TILIX_*", "GHOSTTY_*", "WARP_*", "TERMINAL_EMULATOR", "INSIDE_EMACS", "NVIM*", "VIM*",
	// sessions
	"SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "SSH_AUTH_SOCK", "SSH_AGENT_*", "SSH_ASKPASS*", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY",
	"DBUS_*", "SESSION_MANAGER", "DESKTOP_*", "XDG_SESSION_*", "XDG_SEAT*", "XDG_VTNR", "XDG_ACTIVATION_TOKEN", "GIO_*", "ICEAUTHORITY",
	// services and build tools
	"INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_*", "MANAGERPID*", "NOTIFY_SOCKET", "LISTEN_*", "WATCHDOG_*", "MEMORY_PRESSURE_*",
	"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKE_TERM*", "GOCOVERDIR", "GOTRACEBACK", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOMAXPROCS",
	// the protocol and this program
	"KUBERNETES_EXEC_INFO", "KUBECTL_PATH", "KUBECTL_PLUGINS_*", "KUBECRED_*",
}

// matches tells whether name is on the list.
func matches(list []string, name string) bool {
	for _, pattern := range list {
		if name == "" || pattern == "" || pattern[0] != name[0] && pattern[0] != '*' {
			continue // most of them; each call looks every variable up
		}
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(name, prefix) || pattern == name {
			return true
		}
	}
	return false
}

// counts tells whether a variable goes into the key.
func (o KeyOptions) counts(name string) bool {
	if matches(o.Env, name) {
		return true
	}
	return !matches(o.IgnoreEnv, name) && !matches(volatileEnv, name)
}

// digest collects parts to be hashed, each with its length before it, so that no
// two lists of parts run into the same bytes.
type digest []byte

func (d *digest) add(parts ...string) {
	for _, p := range parts {
		*d = binary.BigEndian.AppendUint64(*d, uint64(len(p)))
		*d = append(*d, p...)
	}
}

func (d *digest) list(name string, parts []string) {
	d.add(name, strconv.Itoa(len(parts)))
	d.add(parts...)
}

// name is the name of an entry: what it begins with, and the hash.
func (d *digest) name(begin string) string {
	sum := sha256.Sum256(*d)
	b := make([]byte, 0, len(clientName)+1+hex.EncodedLen(len(sum))) // no name is longer, so that it stays on the stack
	return string(hex.AppendEncode(append(append(b, begin...), '-'), sum[:]))
}

// keySize is what most keys are made of, and a little more.
const keySize = 8 << 10

// key returns the name under which the answer to a question is kept.
func (b *Broker) key(road, issuer string, args []string, about ...string) string {
	d := identity{make(digest, 0, keySize)}
	d.add("kubecred key 1", road, issuer, strconv.Itoa(os.Getuid()), strconv.Itoa(os.Geteuid()))
	d.list("args", args)
	d.list("about", about)
	if dependsOnDirectory(args) {
		wd, _ := os.Getwd()
		d.add("directory", wd)
	}
	env := make([]string, 0, len(b.Environ))
	for _, v := range b.Environ {
		name, _, _ := strings.Cut(v, "=")
		if b.Key.counts(name) {
			env = append(env, v)
		}
	}
	slices.Sort(env)
	d.list("env", env)
	d.all(b.Environ)
	for _, name := range b.Key.Files {
		d.file(name)
	}
	return d.name(road)
}

// dependsOnDirectory tells whether an argument names a file by a relative path,
// so that it means another one in another directory.
func dependsOnDirectory(args []string) bool {
	for _, arg := range args {
		value := arg
		if strings.HasPrefix(arg, "-") {
			_, value, _ = strings.Cut(arg, "=")
		}
		if value == "" || filepath.IsAbs(value) || !strings.ContainsAny(value, `/\.`) {
			continue
		}
		if _, err := os.Lstat(value); err == nil {
			return true
		}
	}
	return false
}

// maxIdentityFile bounds what is read of a config file. Of a larger one size and
// time of change count.
const maxIdentityFile = 4 << 20

// fileState is a short text that differs where the content of a file does, of which
// readIdentity gave this.
func fileState(data []byte, info state, err error) string {
	switch {
	case isAbsent(err):
		return "absent"
	case err != nil:
		return "unreadable"
	case !info.mode.IsRegular():
		return "special"
	case data == nil && info.size > 0:
		return "large " + strconv.FormatInt(info.size, 10) + " " + strconv.FormatInt(info.changed.UnixNano(), 10)
	}
	sum := sha256.Sum256(data)
	return "sha256 " + string(sum[:])
}

// isAbsent tells whether opening failed because there is no file. Most of the files
// that might count are not there, and errors.Is is the slow way to see that.
func isAbsent(err error) bool {
	if path, ok := err.(*fs.PathError); ok && path.Err == syscall.ENOENT {
		return true
	}
	return errors.Is(err, fs.ErrNotExist)
}

// readIdentity reads a config file, but for one that is too large or none.
func readIdentity(name string) ([]byte, state, error) {
	f, err := openPlain(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, state{}, err
	}
	defer f.close()
	info, err := f.stat()
	if err != nil || !info.mode.IsRegular() || info.size > maxIdentityFile {
		return nil, info, err
	}
	data := make([]byte, info.size)
	n, err := f.ReadAt(data, 0)
	if err != nil && n < len(data) {
		data = data[:n] // it was just cut; what is there counts
	}
	return data, info, nil
}
