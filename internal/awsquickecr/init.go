package awsquickecr

import (
	"os"
	"time"

	"github.com/kubecred/kubecred/internal/awscommand"
)

var taken Left

// Taken is what this process's own question has left.
func Taken() Left { return taken }

func init() {
	o, err := awscommand.Parse(os.Args[1:])
	if err != nil || o.Command != awscommand.Password {
		return
	}
	home := Home()
	out, left := Answer(o, World{Environ: os.Environ(), Getenv: os.Getenv, Home: home, Stdin: os.Stdin, Now: time.Now})
	if out == "" {
		taken = left
		return
	}
	if _, err := os.Stdout.WriteString(out); err != nil {
		_, _ = os.Stderr.WriteString("kubecred-aws: " + err.Error() + "\n")
		os.Exit(2)
	}
	os.Exit(0)
}
