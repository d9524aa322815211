// Kubecred explains, checks and mends the credentials that Kubernetes runs on.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubecred/kubecred/internal/cli"
	"github.com/kubecred/kubecred/internal/start"
)

func main() { os.Exit(run()) }

func run() int {
	start.Done()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return cli.Run(ctx, os.Args, cli.System())
}
