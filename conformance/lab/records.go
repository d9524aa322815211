//go:build unix

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubecred/kubecred/conformance/wait"
)

// Record is what is known of a lab on this machine from outside the process
// that runs it.
type Record struct {
	ID         string    `json:"id"`
	Dir        string    `json:"dir"`
	PID        int       `json:"pid"`     // of the process that runs the lab
	Birth      string    `json:"birth"`   // when that process started, as the kernel counts
	Started    time.Time `json:"started"` // for people
	URL        string    `json:"url"`
	Kubeconfig string    `json:"kubeconfig"`
	AuditLog   string    `json:"auditLog"`
	Alive      bool      `json:"-"`
}

func recordsDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("lab: no cache folder: %w", err)
	}
	return filepath.Join(cache, "kubecred", "lab", "running"), nil
}

// record notes the lab, so that another process can say what is left of it: once
// when there is a directory, and again when it is up.
func (l *Lab) record(context.Context) error {
	r := Record{
		ID: l.ID, Dir: l.Dir, PID: os.Getpid(), Birth: birth(os.Getpid()), Started: time.Now().UTC().Truncate(time.Second),
		URL: l.URL, Kubeconfig: l.AdminKubeconfig, AuditLog: l.AuditLog,
	}
	dir, err := recordsDir()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	tmp := filepath.Join(dir, "."+l.ID)
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return os.Rename(tmp, filepath.Join(dir, l.ID+".json"))
}

func forget(id string) error {
	dir, err := recordsDir()
	if err != nil {
		return err
	}
	err = os.Remove(filepath.Join(dir, id+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List returns the labs of this machine and user, the running and the dead.
func List() ([]Record, error) {
	dir, err := recordsDir()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, file := range files {
		var r Record
		data, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(data, &r) != nil || r.ID == "" {
			_ = os.Remove(file) // cut short; it names nothing
			continue
		}
		r.Alive = r.PID > 0 && r.Birth != "" && birth(r.PID) == r.Birth
		records = append(records, r)
	}
	return records, nil
}

// Sweep removes what labs left behind whose process is gone.
func Sweep(log io.Writer) {
	records, _ := List()
	for _, r := range records {
		if !r.Alive {
			fmt.Fprintf(log, "lab: removing what is left of lab %s, which was killed\n", r.ID)
			if err := r.Remove(); err != nil {
				fmt.Fprintf(log, "%v\n", err)
			}
		}
	}
}

// Stop ends the lab, whoever runs it, and removes what is left of it.
func (r Record) Stop(ctx context.Context) error {
	if r.Alive {
		_ = syscall.Kill(r.PID, syscall.SIGTERM)
		if err := wait.Until(ctx, 100*time.Millisecond, func() bool { return birth(r.PID) != r.Birth }); err != nil {
			return fmt.Errorf("lab: process %d of lab %s does not end: %w", r.PID, r.ID, err)
		}
	}
	return r.Remove()
}

// Remove removes what a lab left behind whose process is gone. Its programs end
// by themselves within some seconds; Remove waits for that.
func (r Record) Remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = wait.Until(ctx, 100*time.Millisecond, func() bool { return !r.guardsLeft() })
	var errs []error
	nodes, _ := filepath.Glob(filepath.Join(r.Dir, "node-*"))
	for _, dir := range nodes {
		errs = append(errs, removeCgroups(dir))
	}
	return errors.Join(append(errs, os.RemoveAll(r.Dir), forget(r.ID))...)
}

// guardsLeft tells whether a guard of this lab is still running: they have its
// directory for theirs.
func (r Record) guardsLeft() bool {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if dir, err := os.Readlink(link); err == nil && dir == r.Dir {
			return true
		}
	}
	return false
}

// birth tells processes with the same id apart: the process's start in clock
// ticks since boot on Linux (proc_pid_stat(5), field 22), elsewhere only whether
// it is there.
func birth(pid int) string {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err == nil {
		_, rest, _ := strings.Cut(string(data), ") ")
		if fields := strings.Fields(rest); len(fields) > 19 && fields[0] != "Z" {
			return fields[19]
		}
		return ""
	}
	if _, err := os.Stat("/proc/self"); err != nil && syscall.Kill(pid, 0) == nil {
		return "running"
	}
	return ""
}
