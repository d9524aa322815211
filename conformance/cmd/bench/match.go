//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/kubecred/kubecred/conformance/lab"
	"github.com/kubecred/kubecred/imagecred"
)

// matching measures the comparing of an image with 50 patterns, beside the
// kubelet's own function for it, which parses pattern and image each time.
func matching(ctx context.Context, _ place, out io.Writer) error {
	var question struct {
		Patterns []string `json:"patterns"`
		Images   []string `json:"images"`
	}
	for i := range 50 {
		question.Patterns = append(question.Patterns, []string{
			fmt.Sprintf("*.team%d.example.com", i), "*.dkr.ecr.*.amazonaws.com.cn", fmt.Sprintf("registry%d.example.com:5000/team", i),
			fmt.Sprintf("registry%d.example.com/team%d", i, i), "*.dkr-ecr.*.on.aws",
		}[i%5])
	}
	for i := range 20 { // none matches, so that all patterns are gone through
		question.Images = append(question.Images, fmt.Sprintf("12345678%04d.dkr.ecr.us-east-1.amazonaws.com/team/app%d", i, i), fmt.Sprintf("registry.example.com/team%d/app", i))
	}
	ask, err := json.Marshal(question)
	if err != nil {
		return err
	}
	oracle, err := lab.Program(ctx, "oracle", os.Stderr)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, oracle, "timing")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(ask), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the oracle: %w", err)
	}
	var kubelet struct{ Nanoseconds, Allocations float64 }
	if err := json.Unmarshal(answer, &kubelet); err != nil {
		return err
	}
	var patterns []imagecred.Pattern
	for _, text := range question.Patterns {
		p, err := imagecred.Compile(text)
		if err != nil {
			return err
		}
		patterns = append(patterns, p)
	}
	matched := 0
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			t, err := imagecred.NewTarget(question.Images[i%len(question.Images)])
			if err != nil {
				b.Fatal(err)
			}
			i++
			for k := range patterns {
				if patterns[k].Match(&t) {
					matched++
				}
			}
		}
	})
	if matched > 0 || r.N == 0 {
		return fmt.Errorf("%d matches in %d rounds: the cases are not what they should be", matched, r.N)
	}
	own := float64(r.T.Nanoseconds()) / float64(r.N)
	fmt.Fprintln(out, "| an image against 50 patterns | time | allocations | beside the kubelet's | promised |")
	fmt.Fprintln(out, "| --- | --: | --: | --: | --: |")
	fmt.Fprintf(out, "| the kubelet's URLsMatchStr | %.1fµs | %.0f | | |\n", kubelet.Nanoseconds/1000, kubelet.Allocations)
	fmt.Fprintf(out, "| imagecred, the image parsed each time | %.2fµs | %d | %s |\n", own/1000, r.AllocsPerOp(), compared(own/kubelet.Nanoseconds, 1./20))
	return nil
}
