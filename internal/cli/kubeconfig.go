package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/report"
	"github.com/kubecred/kubecred/kubeconfig"
)

func (a *app) kubeconfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Check and mend kubeconfigs, and the plugins that they name",
		Args:  subcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.kubeconfigCheckCommand(),
		a.kubeconfigFixCommand(),
		a.kubeconfigUnwrapCommand(),
		a.kubeconfigUpdateCommand(),
		a.kubeconfigWrapCommand(),
	)
	return cmd
}

// kubeconfigFlag is the list of files that every kubeconfig command takes.
func kubeconfigFlag(cmd *cobra.Command, paths *[]string) {
	cmd.Flags().StringArrayVar(paths, "kubeconfig", nil, "kubeconfig file, may be repeated (default: those of KUBECONFIG, else ~/.kube/config)")
	must(cmd.MarkFlagFilename("kubeconfig"))
}

func (a *app) kubeconfigCheckCommand() *cobra.Command {
	var o output
	var paths []string
	var probe bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with kubeconfigs, where, and what mends it",
		Long: `Check reads kubeconfigs by the rules of Kubernetes' clients and reports what
those refuse, what will end, and what works but surprises. Nothing is changed, and
nothing is run but with --probe: that runs each plugin in each version of the
protocol, for 15 seconds at most and without a terminal, and says which it
speaks, how long it takes and how long its answer lives.`,
		Example: `  kubecred kubeconfig check
  kubecred kubeconfig check --kubeconfig ./admin.conf -o json
  kubectl config view --raw | kubecred kubeconfig check --kubeconfig -`,
		Args: noArguments("name a kubeconfig with --kubeconfig"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(report.Names()); err != nil {
				return err
			}
			files := a.kubeconfigPaths(paths)
			if len(files) == 0 {
				return a.noKubeconfig()
			}
			p, err := a.checkAndProbe(cmd.Context(), files, probe)
			if err != nil {
				return err
			}
			return a.show(&o, finding.NewReport(a.Now(), p.findings, p.sources))
		},
	}
	o.register(cmd)
	kubeconfigFlag(cmd, &paths)
	cmd.Flags().BoolVar(&probe, "probe", false, "run each plugin in each version, and judge what it answers")
	return cmd
}

// kubeconfigPaths returns the kubeconfigs to work on: those of the flags as they
// were given; else those of KUBECONFIG that are there, as a client takes them;
// else ~/.kube/config if it is there. Each once.
func (a *app) kubeconfigPaths(flags []string) []string {
	if len(flags) > 0 {
		return once(flags)
	}
	var there []string
	for _, p := range a.usualKubeconfigs() {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			there = append(there, p)
		}
	}
	return there
}

// usualKubeconfigs are the places that a client looks at by itself.
func (a *app) usualKubeconfigs() []string {
	if list := a.Getenv("KUBECONFIG"); list != "" {
		return once(filepath.SplitList(list))
	}
	if a.Home == "" {
		return nil
	}
	return []string{filepath.Join(a.Home, ".kube", "config")}
}

// once leaves out what leads to a file that was named before: its second edit
// would wait for the lock of the first.
func once(paths []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range paths {
		key := p
		if real, err := filepath.EvalSymlinks(p); err == nil {
			if key, err = filepath.Abs(real); err != nil {
				key = real
			}
		}
		if p != "" && !seen[key] {
			seen[key] = true
			out = append(out, p)
		}
	}
	return out
}

func (a *app) noKubeconfig() error {
	usual := a.usualKubeconfigs()
	if len(usual) == 0 {
		return errors.New("no kubeconfig: give one with --kubeconfig")
	}
	return fmt.Errorf("no kubeconfig: %s is not there; give one with --kubeconfig", strings.Join(usual, ", "))
}

// checkKubeconfigs judges kubeconfigs, in the order in which a client merges
// them. A file that can't be read is a finding where others could be, and an
// error where none could.
func (a *app) checkKubeconfigs(ctx context.Context, paths []string) (part, error) {
	return a.checkAndProbe(ctx, paths, false)
}

// kubeconfigsForDoctor is checkKubeconfigs where other roads are checked too: of
// empty files alone a client says nothing.
func (a *app) kubeconfigsForDoctor(ctx context.Context, paths []string) (part, error) {
	p, err := a.checkKubeconfigs(ctx, paths)
	if err != nil && len(p.findings) > 0 && !slices.ContainsFunc(p.findings, func(f finding.Finding) bool { return f.Code != "KC127" }) {
		return p, nil
	}
	return p, err
}

func (a *app) checkAndProbe(ctx context.Context, paths []string, probe bool) (part, error) {
	var p part
	var files []*kubeconfig.File
	var failures []error
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		f, err := a.readKubeconfig(path)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", path, err))
			p.findings = append(p.findings, unreadable(path, err))
			continue
		}
		files = append(files, f)
		p.sources = append(p.sources, finding.Source{Road: finding.Client, Name: path, Summary: kubeconfigSummary(f)})
	}
	if len(files) == 0 {
		return p, errors.Join(failures...)
	}
	found := kubeconfig.Check(files, a.kubeconfigEnv())
	if probe {
		probed := a.probePlugins(ctx, files)
		if err := ctx.Err(); err != nil {
			return p, err
		}
		found = append(withoutRepeats(found, probed), probed...)
	}
	p.findings = append(p.findings, found...)
	return p, nil
}

func (a *app) readKubeconfig(path string) (*kubeconfig.File, error) {
	var data []byte
	var err error
	if path == "-" {
		data, err = kubeconfig.ReadFrom(a.Stdin)
	} else {
		data, err = kubeconfig.ReadFile(path)
	}
	if err != nil {
		return nil, err
	}
	return kubeconfig.Parse(path, data)
}

// unreadable is the finding for a file that could not be checked.
func unreadable(path string, err error) finding.Finding {
	if errors.Is(err, kubeconfig.ErrEmpty) {
		return emptyKubeconfig(path)
	}
	f := finding.New("KC120", "the file", err.Error())
	f.Where = finding.Where{File: path}
	var syntax *kubeconfig.SyntaxError
	if errors.As(err, &syntax) {
		f.Where.Line, f.Where.Column, f.Message = syntax.Line, syntax.Column, syntax.Reason
	}
	f.Fix = finding.Fix{Summary: "mend or replace the file, or take it out of KUBECONFIG"}
	return f
}

// emptyKubeconfig is the finding for a file that a client reads without a word
// (k8s.io/client-go tools/clientcmd/loader.go).
func emptyKubeconfig(path string) finding.Finding {
	f := finding.New("KC127", "the file", "empty: clients take it for a kubeconfig without entries")
	f.Severity = finding.Warning
	f.Where = finding.Where{File: path}
	f.Details = []string{"where it is the only one, kubectl asks localhost:8080: The connection to the server localhost:8080 was refused"}
	f.Fix = finding.Fix{Summary: "put back what it held, or take it out of KUBECONFIG"}
	return f
}

func kubeconfigSummary(f *kubeconfig.File) string {
	return strings.Join([]string{
		count(len(f.Contexts), "context"),
		count(len(f.Clusters), "cluster"),
		count(len(f.Users), "user"),
	}, ", ")
}

// kubeconfigEnv is what the checks may look at on this machine.
func (a *app) kubeconfigEnv() kubeconfig.Env {
	usual := map[string]bool{}
	for _, p := range a.usualKubeconfigs() {
		usual[p] = true
	}
	// A kuberc that can't be read is kubectl's to complain of.
	policy, _ := kubeconfig.ReadPolicy(kubeconfig.KubercPath(a.Getenv, a.Home))
	return kubeconfig.Env{
		Policy: policy,
		Now:    a.Now(), Getenv: a.Getenv, Home: a.Home, GOOS: runtime.GOOS,
		Mode: func(path string) (fs.FileMode, error) {
			info, err := os.Stat(path)
			if err != nil {
				return 0, err
			}
			return info.Mode(), nil
		},
		ReadFile: kubeconfig.ReadFile,
		Executables: func(command string) []string {
			return kubeconfig.Executables(command, a.Getenv("PATH"), runtime.GOOS)
		},
		Flags: func(f *kubeconfig.File) string {
			if usual[f.Name] || f.Name == "-" {
				return ""
			}
			return " --kubeconfig " + kubeconfig.ShellQuote(f.Name)
		},
	}
}
