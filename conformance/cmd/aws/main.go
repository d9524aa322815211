// Aws runs a stand-in for AWS until Ctrl-C, with a user, a role that the user
// may assume, and signatures that are checked for real. It prints the settings
// by which AWS clients find it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubecred/kubecred/internal/awsfake"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := awsfake.Start(awsfake.Default())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("export AWS_ENDPOINT_URL=%s\nexport AWS_EC2_METADATA_DISABLED=true\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n",
		s.URL, awsfake.UserKey, awsfake.UserSecret)
	fmt.Fprintf(os.Stderr, "\nuser %s, who may assume %s; Ctrl-C ends it.\n", awsfake.UserARN, awsfake.AdminRole)
	<-ctx.Done()
	_ = s.Close()
}
