package broker

import (
	"os"
	"os/exec"
	"testing"
)

// Processes are told apart, and each is always the same, in both ways.
func TestProcessesAreToldApart(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	if start := startTime(os.Getpid()); start == 0 {
		t.Error("no start time")
	} else if startTime(child.Process.Pid) < start {
		t.Error("a child is older than its parent")
	}
	if a, b := parentProcess(), parentProcess(); a != b || a.pid != os.Getppid() || a.start == 0 {
		t.Errorf("the parent is %+v, then %+v", a, b)
	}
	if _, ok := processNumber(-1); ok {
		t.Error("a process that cannot be has a number")
	}
	mine, ok := processNumber(os.Getpid())
	if !ok { // a kernel before 6.9: then it is the start time that tells
		if got, want := parentProcess().start, startTime(os.Getppid()); got != want {
			t.Errorf("the parent began at %d, want %d", got, want)
		}
		return
	}
	if again, _ := processNumber(os.Getpid()); again != mine {
		t.Errorf("one process has the numbers %d and %d", mine, again)
	}
	if other, _ := processNumber(child.Process.Pid); other == mine {
		t.Errorf("two processes have the number %d", mine)
	}
}
