// Oracle answers what a kubelet of the pinned version would say, with the
// kubelet's own code. It reads one question a line as JSON from stdin and writes
// one answer a line to stdout.
//
//	oracle match    {"pattern","image"} -> does the pattern match the image?
//	oracle config   {"path"}            -> does a kubelet start with this config?
//	oracle keyring  {"config","binDir","serviceAccounts","lookups"} -> which
//	                credentials does it try, in which order?
//	oracle secrets  {"secrets","dir","files","images"} -> and which of the pod's and
//	                the node's own?
//	oracle timing   {"patterns","images"} -> how long does matching take it?
//
// keyring and timing take one question, the others any number. keyring because the
// kubelet's registry of providers belongs to the whole process: one process for
// each case.
//
// Kubelets in use were built with a Go that reads colons in a host leniently;
// so is this program.
//
//go:debug urlstrictcolons=0
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: oracle match|config|keyring|secrets|timing, questions on stdin")
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "match":
		err = each(match)
	case "config":
		err = eachConfig()
	case "keyring":
		err = one(keyring)
	case "secrets":
		err = each(pullSecrets)
	case "timing":
		err = one(timing)
	default:
		err = fmt.Errorf("no mode %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// each answers questions until stdin ends. Answers are flushed when no further
// question is waiting, so that a caller may send many, or wait for each.
func each[Q, A any](answer func(Q) A) error {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	enc := json.NewEncoder(out)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var q Q
			if err := json.Unmarshal(line, &q); err != nil {
				return fmt.Errorf("question %q: %w", line, err)
			}
			if err := enc.Encode(answer(q)); err != nil {
				return err
			}
		}
		if in.Buffered() == 0 || err != nil {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

func one[Q, A any](answer func(Q) (A, error)) error {
	var q Q
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		return fmt.Errorf("the question: %w", err)
	}
	a, err := answer(q)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(a)
}
