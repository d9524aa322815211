// Counted runs go test and says at the end, on a line of its own, how many tests
// passed, failed and were skipped:
//
//	counted [-quiet] [-no-skips] [GO TEST ARGS...] PACKAGES...
//
// A test with subtests is counted by its subtests. What tests that pass have
// logged is left out, with -quiet their names too: then a package has one line. With
// -no-skips a skipped test is a failed one. The exit status is 1 where anything failed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	c := newCounter(os.Stdout)
	for ; len(args) > 0; args = args[1:] {
		if args[0] == "-quiet" {
			c.quiet = true
		} else if args[0] == "-no-skips" {
			c.noSkips = true
		} else {
			break
		}
	}
	// A Ctrl-C reaches go test by itself; this process stays to count.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signal.Ignore(os.Interrupt)
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "counted:", err)
		return 1
	}
	c.read(out)
	err = cmd.Wait()
	if err != nil && c.failed == 0 {
		c.failed++ // ended before a test could say so
		fmt.Fprintln(os.Stdout, "FAIL  go test:", err)
	}
	fmt.Fprintf(os.Stdout, "%d passed, %d failed, %d skipped\n", c.passed, c.failed, c.skipped)
	if c.failed > 0 {
		return 1
	}
	return 0
}

// shuffled begins the line that tells the order of a package's tests.
const shuffled = "-test.shuffle "

// event is a line of `go test -json` (cmd/test2json).
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

type counter struct {
	w                       io.Writer
	quiet, noSkips          bool
	passed, failed, skipped int
	output                  map[string][]string // what a running test has said
	parents                 map[string]bool     // tests that have subtests
	failedIn                map[string]bool     // packages with a failed test
	failures                []string            // tests that failed
	subtests                map[string]int      // of a test that is no subtest itself
	shuffles                map[string]string   // by package, the order of its tests
}

func newCounter(w io.Writer) *counter {
	return &counter{w: w, output: map[string][]string{}, parents: map[string]bool{}, failedIn: map[string]bool{}, subtests: map[string]int{}, shuffles: map[string]string{}}
}

func (c *counter) read(r io.Reader) {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) == nil {
				c.event(e)
			} else {
				fmt.Fprint(c.w, line)
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *counter) event(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(c.w, e.Output)
	case "output":
		// t.Log indents. What does not is said to whoever watches: progress, seeds.
		if e.Test == "" || !strings.HasPrefix(e.Output, " ") {
			if c.quiet && strings.HasPrefix(e.Output, shuffled) {
				c.shuffles[e.Package] = e.Output
			} else if !noise(e.Output) || c.quiet && strings.HasPrefix(e.Output, "ok  \t") {
				fmt.Fprint(c.w, e.Output)
			}
			return
		}
		c.output[key] = append(c.output[key], e.Output)
	case "run":
		if i := strings.LastIndexByte(e.Test, '/'); i > 0 {
			c.parents[e.Package+" "+e.Test[:i]] = true
		}
	case "pass", "fail", "skip":
		c.ended(e, key)
	}
}

func (c *counter) ended(e event, key string) {
	said := c.output[key]
	delete(c.output, key)
	if e.Test == "" {
		if e.Action == "fail" {
			fmt.Fprint(c.w, c.shuffles[e.Package])
		}
		// A package fails with its tests; alone where it was not built, or
		// stopped before a test ran.
		if e.Action == "fail" && !c.failedIn[e.Package] {
			c.failed++
			fmt.Fprintf(c.w, "FAIL  %s\n", e.Package)
			for k, lines := range c.output { // of the test that was running then
				if strings.HasPrefix(k, e.Package+" ") {
					c.print(lines)
				}
			}
		}
		return
	}
	name := path.Base(e.Package) + "." + e.Test
	action := e.Action
	if action == "skip" && c.noSkips {
		action = "fail"
		said = append(said, "    skipped, and here nothing may be\n")
	}
	top, _, below := strings.Cut(e.Test, "/")
	if c.parents[key] && (action != "fail" || c.failedBelow(key)) {
		if action == "pass" && !below && !c.quiet {
			fmt.Fprintf(c.w, "ok    %s  %.1f s, %d subtests\n", name, e.Elapsed, c.subtests[key])
		}
		if !c.quiet || action != "pass" {
			c.print(said)
		}
		return
	}
	c.subtests[e.Package+" "+top]++
	switch action {
	case "pass":
		c.passed++
		if !below && !c.quiet { // subtests get a line together
			fmt.Fprintf(c.w, "ok    %s  %.1f s\n", name, e.Elapsed)
		}
	case "fail":
		c.failed++
		c.failedIn[e.Package] = true
		c.failures = append(c.failures, key)
		fmt.Fprintf(c.w, "FAIL  %s  %.1f s\n", name, e.Elapsed)
		c.print(said)
	case "skip":
		c.skipped++
		fmt.Fprintf(c.w, "skip  %s\n", name)
		c.print(said)
	}
}

// failedBelow tells whether a subtest of the test failed, and was counted.
func (c *counter) failedBelow(key string) bool {
	return slices.ContainsFunc(c.failures, func(f string) bool { return strings.HasPrefix(f, key+"/") })
}

func (c *counter) print(lines []string) {
	for _, line := range lines {
		if !noise(line) {
			fmt.Fprint(c.w, line)
		}
	}
}

// noise tells whether a line of go test says only what the counter says itself.
func noise(line string) bool {
	line = strings.TrimSpace(line)
	if line == "" || line == "PASS" || line == "FAIL" {
		return true
	}
	for _, prefix := range []string{"=== RUN", "=== PAUSE", "=== CONT", "=== NAME", "--- PASS", "--- FAIL", "--- SKIP", "ok  \t", "FAIL\t", "?   \t"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
