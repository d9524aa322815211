//go:build unix

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kubecred/kubecred/conformance/lab"
)

// scene is what people find when the lab is up.
type scene struct {
	lab       *lab.Lab
	workloads []*lab.Workload
	old       string             // the kubeconfig that asks for v1alpha1
	image     *lab.ImageIncident // nil without a node
	noNode    error              // why
}

func up(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("lab up", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	port := flags.Int("port", 0, "port of the API server; 0 takes a free one")
	webhook := flags.String("webhook", "", "kubeconfig of a token webhook that the API server asks")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return errors.Join(err, errors.New(strings.TrimSpace(usage)))
	}
	l, err := lab.Start(ctx, lab.Options{Log: os.Stderr, Port: *port, TokenWebhook: *webhook})
	if err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(os.Stderr, "lab: stopping")
		if closing := l.Close(); err == nil {
			err = closing
		}
	}()
	s, err := plant(ctx, l)
	if err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C
		}
		l.KeepLogs()
		return err
	}
	s.print(os.Stdout)
	<-ctx.Done()
	fmt.Fprintln(os.Stderr)
	return nil
}

func plant(ctx context.Context, l *lab.Lab) (*scene, error) {
	s := &scene{lab: l}
	// The programs of which the text below speaks.
	if _, err := l.Kubecred(ctx, "kubecred"); err != nil {
		return nil, err
	}
	kubectl, err := l.Program(ctx, "kubectl")
	if err != nil {
		return nil, err
	}
	if err := os.Symlink(kubectl, l.Path("bin", "kubectl")); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if s.noNode = lab.NodeSupport(); s.noNode == nil {
		if s.image, err = l.PlantImage(ctx); err != nil {
			return nil, err
		}
	}
	if s.old, err = l.OldKubeconfig(ctx, "prod-2021"); err != nil {
		return nil, err
	}
	s.workloads, err = l.Plant(ctx, lab.Incidents())
	return s, err
}

func (s *scene) print(w io.Writer) {
	l := s.lab
	fmt.Fprintf(w, "\nThe lab is up. In a second terminal:\n\n")
	fmt.Fprintf(w, "  export KUBECONFIG=%s PATH=%s:$PATH\n", l.AdminKubeconfig, l.Path("bin"))
	fmt.Fprintf(w, "\nPlanted, the pods' programs with their tokens:\n\n")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range s.workloads {
		fmt.Fprintf(tw, "  %s/%s\t%s\n", p.Namespace, p.Pod, fate(p))
	}
	tw.Flush()
	fmt.Fprintf(w, "\nPlanted, a kubeconfig that asks for exec API v1alpha1:\n\n")
	fmt.Fprintf(w, "  kubectl --kubeconfig %s get namespaces\n", s.old)
	fmt.Fprintf(w, "  kubecred kubeconfig fix --kubeconfig %s        and again\n", s.old)
	doctor := []string{"kubecred doctor", "--kubeconfig " + s.old, "--audit-log " + l.AuditLog}
	if s.image != nil {
		fmt.Fprintf(w, "\nPlanted, a pod that cannot get its image %s, on %s:\n\n", s.image.Image, s.image.Node.Name)
		fmt.Fprintf(w, "  kubectl -n %s get pod %s\n", s.image.Namespace, s.image.Pod)
		fmt.Fprintf(w, "  kubecred image explain --config %s %s\n", s.image.Config, s.image.Image)
		doctor = append(doctor, "--image-config "+s.image.Config, "--bin-dir "+s.image.BinDir)
	} else {
		fmt.Fprintf(w, "\nNo node: %v\n", s.noNode)
	}
	fmt.Fprintf(w, "\nFind all of them, in half a minute, when the two tokens are dead:\n\n  %s\n", strings.Join(doctor, " \\\n    "))
	fmt.Fprintf(w, "\nGive those that are dying new tokens, and see which of them that mends:\n\n  kubecred tokens list --profile eks --audit-log %s\n  kubecred tokens restart %s\n  kubecred tokens restart --apply --verify %[1]s\n", l.AuditLog, l.AuditLog)
	fmt.Fprintf(w, "\nThe audit log grows at %s\nCtrl-C ends the lab and removes all of it.\n", l.AuditLog)
}

// fate says what will become of a program.
func fate(p *lab.Workload) string {
	switch dies := p.First.Dies(); {
	case p.Habit == lab.ReadsAgain:
		return "reads its token again and again; fine"
	case time.Until(dies) > time.Hour:
		text := fmt.Sprintf("read its token once, %d days ago; refused from %s", int(p.Age.Hours())/24, dies.UTC().Format("2006-01-02 15:04 MST"))
		if p.Then == lab.ReadsAgain {
			text += "; its next pod has a mended version"
		}
		return text
	case p.Habit == lab.ReadsWhenRefused:
		return fmt.Sprintf("reads its token when refused, in %d s; survives", int(time.Until(dies).Seconds()))
	default:
		return fmt.Sprintf("read its token once; refused in %d s, for good", int(time.Until(dies).Seconds()))
	}
}
