package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/imagecred"
)

type imageExplainOptions struct {
	imageSource
	imageHostOptions
	format string
	run    bool
}

func (a *app) imageExplainCommand() *cobra.Command {
	var o imageExplainOptions
	cmd := &cobra.Command{
		Use:   "explain [IMAGE...]",
		Short: "Say which providers the kubelet asks about an image, and why not the others",
		Long: `Normalises each image as the kubelet does and compares it with every pattern of
the config. IMAGE may be - for one image a line on stdin.

Nothing is run, unless --run asks for it: then the plugins run as the kubelet
runs them, with this program's environment, and the logins are listed in the
order in which the kubelet would try them. No registry is asked; 'kubecred image
try' does that. With --run the exit status is 1 where a plugin failed.

With --pod the pod's imagePullSecrets, its service account and a token of that
come from the cluster, as its node would get them; without an IMAGE it tells of
all images of the pod. It needs the right to read these, to create
subjectaccessreviews and, where a provider wants one, to create the token.`,
		Example: `  kubecred image explain --config config.yaml 123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1
  kubectl get pods -A -o jsonpath='{range .items[*].spec.containers[*]}{.image}{"\n"}{end}' |
    kubecred image explain --config config.yaml -o json -
  kubecred image explain --run --pod apps/web-5b7d6f4c8-tq2wn`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.imageExplain(cmd.Context(), &o, args) },
	}
	o.imageSource.register(cmd)
	o.imageHostOptions.register(cmd)
	cmd.Flags().BoolVar(&o.run, "run", false, "run the plugins that match, and say what becomes of their answers")
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "format: text, json (one object a line)")
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func (a *app) imageExplain(ctx context.Context, o *imageExplainOptions, images []string) error {
	if o.format != "text" && o.format != "json" {
		return fmt.Errorf("-o %q: use one of text, json", o.format)
	}
	if !o.run && (o.cluster || o.podName != "") {
		return errors.New("--cluster and --pod go with --run: without it only names are compared")
	}
	if len(images) == 0 && o.podName == "" {
		return errors.New("name an IMAGE, or - for one a line on stdin, or --pod with --run for a pod's images")
	}
	version, err := o.kubernetesVersion()
	if err != nil {
		return err
	}
	paths, binDir, err := a.imagePaths(o.configs, o.binDir, "")
	if err != nil {
		return err
	}
	o.binDir = binDir
	configs, err := a.loadImageConfigs(ctx, paths, version)
	if err != nil {
		return err
	}
	refused := a.tellProblems(configs)
	e := newExplainer(configs, a.Stdout, o.format)
	show := func(ref imagecred.Ref) error { return e.add(ref) }
	if o.run {
		hosts, err := a.imageHosts(configs, &o.imageHostOptions, version)
		if err != nil {
			return err
		}
		pod, ofPod, err := a.imagePod(ctx, &o.imageHostOptions)
		if err != nil {
			return err
		}
		if len(images) == 0 {
			images = ofPod
		}
		show = func(ref imagecred.Ref) error {
			failed, err := a.explainRun(ctx, hosts, ref, pod, e)
			refused = refused || failed
			return err
		}
	}
	if o.format == "text" {
		show = a.withJournal(configs, show, e.flush)
	}
	bad := 0
	one := func(image string) error {
		ref, err := imagecred.ParseImage(image)
		if err != nil {
			bad++
			fmt.Fprintf(a.Stderr, "kubecred: %s; the kubelet says InvalidImageName\n", oneLine(err.Error()))
			return nil
		}
		return show(ref)
	}
	if err := a.eachImage(ctx, images, one, e.flush); err != nil {
		return err
	}
	if err := e.flush(); err != nil {
		return err
	}
	switch {
	case bad > 0:
		return exitError(exitFailed)
	case refused:
		return exitError(exitFindings)
	}
	return nil
}

// tellProblems says of each config with which a kubelet does not start why, and
// whether there is one.
func (a *app) tellProblems(configs []*imagecred.Config) (refused bool) {
	for _, c := range configs {
		if len(c.Problems) > 0 {
			refused = true
			a.remark(c.Path + ": a kubelet does not start with this config: " + problemLine(c) + " (kubecred image lint says more)")
		}
	}
	return refused
}

// problemLine says what stops a kubelet, the first few of many.
func problemLine(c *imagecred.Config) string {
	const most = 8
	var out []string
	for i, p := range c.Problems {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(c.Problems)-most))
			break
		}
		s := p.Subject + ": " + p.Message
		if p.Where.Line > 0 {
			s = fmt.Sprintf("line %d: %s", p.Where.Line, s)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// eachImage calls f for each image named, and for - for each line of stdin; idle
// is called when stdin has no more for now.
func (a *app) eachImage(ctx context.Context, images []string, f func(string) error, idle func() error) error {
	for _, image := range images {
		if image != "-" {
			if err := f(image); err != nil {
				return err
			}
			continue
		}
		in := bufio.NewReaderSize(a.Stdin, 1<<16)
		for {
			line, err := in.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				return errors.New("stdin: a line of more than 64 KiB is no image")
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("reading stdin: %w", err)
			}
			if text := strings.TrimSpace(string(line)); text != "" && !strings.HasPrefix(text, "#") {
				if err := f(text); err != nil {
					return err
				}
			}
			if err != nil {
				break
			}
			if in.Buffered() == 0 {
				if err := idle(); err != nil {
					return err
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}
