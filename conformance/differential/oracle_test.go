//go:build unix

// Package differential holds kubecred's libraries against Kubernetes' own code:
// generated cases go to both, and any difference fails the test, is made as
// small as it gets, and is kept as a vector in testdata.
package differential

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of the generated cases; 0 takes a new one")
	pairsFlag = flag.Int("pairs", 100_000, "how many pairs of pattern and image")
	filesFlag = flag.Int("configs", 2_000, "how many configs")
)

// newRand returns a generator and says how to get the same one again.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	fmt.Printf("%s: seed %d\n", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// oracle is the code of somebody else, running: the kubelet's
// (conformance/kubernetes/oracle), or containerd's (conformance/containerd/hosts).
type oracle struct {
	t   *testing.T
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Reader
}

func oraclePath(t *testing.T) string { return programPath(t, "oracle") }

func programPath(t *testing.T, name string) string {
	t.Helper()
	path, err := lab.Program(t.Context(), name, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func startOracle(t *testing.T, mode string, env ...string) *oracle {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), oraclePath(t), mode)
	cmd.Env = append(os.Environ(), env...)
	return start(t, cmd)
}

func start(t *testing.T, cmd *exec.Cmd) *oracle {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // killed where the test is over before it ends
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("%s: %s", cmd, stderr.String())
		}
	})
	return &oracle{t: t, in: in, out: bufio.NewReaderSize(out, 1<<16)}
}

// ask sends questions and returns the answers in their order.
func ask[Q, A any](o *oracle, questions ...Q) []A {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	go func() { // the oracle answers while it is being asked
		w := bufio.NewWriter(o.in)
		enc := json.NewEncoder(w)
		for _, q := range questions {
			if enc.Encode(q) != nil {
				return // the reader below will say that it ended
			}
		}
		_ = w.Flush()
	}()
	answers := make([]A, len(questions))
	for i := range answers {
		line, err := o.out.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &answers[i])
		}
		if err != nil {
			o.t.Fatalf("the oracle ended at question %d, %+v: %v", i, questions[i], err)
		}
	}
	return answers
}

// askOnce runs an oracle process for one question.
func askOnce[A any](ctx context.Context, t *testing.T, mode string, question any) A {
	t.Helper()
	data, err := json.Marshal(question)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, oraclePath(t), mode)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(data), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oracle %s: %v\n%s", mode, err, stderr.String())
	}
	var a A
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// shrink makes a text as short as it gets while bad holds for it, by taking out
// pieces of falling length.
func shrink(s string, bad func(string) bool) string {
	for size := max(1, len(s)/2); size > 0; size /= 2 {
		for i := 0; i+size <= len(s); {
			if shorter := s[:i] + s[i+size:]; bad(shorter) {
				s = shorter
			} else {
				i++
			}
		}
	}
	return s
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// chance is true in about percent of 100 cases.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }
