//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// crowd starts a hundred processes at once on an empty cache, with an issuer
// that takes a second.
func crowd(ctx context.Context, p place, out io.Writer) error {
	dir := filepath.Join(p.dir, "crowd")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	log, issuer := filepath.Join(dir, "runs"), filepath.Join(dir, "issuer")
	script := "#!/bin/sh\necho run >> " + log + "\nsleep 1\nprintf '%s' '" +
		`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"t","expirationTimestamp":"` +
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + "\"}}'\n"
	if err := os.WriteFile(issuer, []byte(script), 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	const n = 100
	began := time.Now()
	done := make(chan error, n)
	for range n {
		cmd := exec.CommandContext(ctx, p.programs["kubecred-exec"], "client", "--", issuer)
		cmd.Env = append(slices.Clip(p.env), "KUBECRED_CACHE_DIR="+filepath.Join(dir, "cache"))
		go func() { done <- cmd.Run() }()
	}
	var failed error
	for range n {
		if err := <-done; err != nil {
			failed = err
		}
	}
	if failed != nil {
		return failed
	}
	took := time.Since(began)
	data, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d calls of kubecred-exec at once on an empty cache, with an issuer that takes 1 s: %d run of the issuer, all done after %s (promised: 1 run, 2 s).\n",
		n, strings.Count(string(data), "run"), took.Round(time.Millisecond))
	return nil
}
