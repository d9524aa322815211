package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/probe"
	"github.com/kubecred/kubecred/kubeconfig"
)

// Bounds of a probe: of one run, and of the plugins that run side by side.
const (
	probeLimit  = 15 * time.Second
	probeAtOnce = 4
)

// slowPlugin is how long a plugin may take before a cache is worth the while.
const slowPlugin = 300 * time.Millisecond

// probed is a plugin with the entries that run it.
type probed struct {
	plugin  probe.Plugin
	command string
	uses    []probedUser
	results []probe.Result
}

type probedUser struct {
	file *kubeconfig.File
	user kubeconfig.User
}

// probePlugins runs every plugin of the files in each version, and judges what
// they answer.
func (a *app) probePlugins(ctx context.Context, files []*kubeconfig.File) []finding.Finding {
	list := a.pluginsOf(files)
	step := a.steps("plugins", len(list))
	slots := make(chan struct{}, probeAtOnce)
	var wg sync.WaitGroup
	for _, p := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots; step() }()
			if ctx.Err() == nil {
				p.results = probe.Ask(ctx, p.plugin, probeLimit)
			}
		})
	}
	wg.Wait()
	mask := kubeconfig.NewMasker(files...)
	env := a.kubeconfigEnv()
	var out []finding.Finding
	for _, p := range list {
		out = append(out, p.judge(a.Now(), mask, env.Flags)...)
	}
	return out
}

// pluginsOf lists the plugins that are there, each once.
func (a *app) pluginsOf(files []*kubeconfig.File) []*probed {
	var list []*probed
	byKey := map[string]*probed{}
	for _, f := range files {
		for _, u := range f.Users {
			if u.Exec == nil || u.Exec.Command.Value == "" {
				continue
			}
			command := u.Exec.Command.Value
			lookup := command
			if strings.ContainsAny(command, `/\`) && !filepath.IsAbs(command) {
				lookup = filepath.Join(filepath.Dir(f.Name), command)
			}
			found := kubeconfig.Executables(lookup, a.Getenv("PATH"), runtime.GOOS)
			if len(found) == 0 {
				continue // a finding already
			}
			p := &probed{command: command, plugin: probe.Plugin{Path: found[0], Args: probeArgs(u.Exec), Env: os.Environ()}}
			var own []string
			for _, v := range u.Exec.Env {
				own = append(own, v.Name.Value+"="+v.Value.Value)
			}
			p.plugin.Env = append(p.plugin.Env, own...)
			if c := f.ExecCluster(u.Name.Value); c != nil {
				p.plugin.Cluster, _ = json.Marshal(c)
			}
			key := strings.Join(append(append([]string{found[0], string(p.plugin.Cluster)}, p.plugin.Args...), own...), "\x00")
			if have, ok := byKey[key]; ok {
				p = have
			} else {
				byKey[key] = p
				list = append(list, p)
			}
			p.uses = append(p.uses, probedUser{f, u})
		}
	}
	return list
}

// probeArgs are the plugin's arguments; the broker is asked past its cache.
func probeArgs(x *kubeconfig.Exec) []string {
	args := x.ArgValues()
	if _, _, ok := x.Wrapped(); ok && !slices.Contains(args, "--no-cache") {
		args = slices.Insert(args, 1, "--no-cache")
	}
	return args
}

// judge turns the runs of one plugin into findings.
func (p *probed) judge(now time.Time, mask *kubeconfig.Masker, flags func(*kubeconfig.File) string) []finding.Finding {
	var out []finding.Finding
	speaks := probe.Speaks(p.results)
	for _, use := range p.uses {
		if f, ok := p.entry(use, speaks, mask, flags); ok {
			out = append(out, f)
		}
	}
	for _, r := range p.results {
		if r.Outcome != probe.Answered {
			continue
		}
		out = append(out, p.summary(r, speaks, now, flags))
		if !r.Announced {
			out = append(out, p.endless(r, now, flags))
		}
		break
	}
	return out
}

// at begins a finding about one entry.
func (use probedUser) at(code, message string) finding.Finding {
	f := finding.New(code, "user "+use.user.Name.Value, message)
	v := use.user.Exec.APIVersion
	f.Where = finding.Where{File: use.file.Name, Line: v.Line, Column: v.Column, Text: use.file.Shown("apiVersion", v)}
	if !v.Set() {
		f.Where.Line, f.Where.Column = use.user.Exec.Line, use.user.Exec.Column
	}
	return f
}

// wrap is the fix that puts kubecred-exec in front of the plugin.
func (use probedUser) wrap(why string, flags func(*kubeconfig.File) string) finding.Fix {
	if use.user.Exec.RelativeCommand() {
		return finding.Fix{Summary: why + ", once the entry has the command's absolute path: kubecred kubeconfig wrap then"}
	}
	return finding.Fix{Summary: why, Command: "kubecred kubeconfig wrap" + flags(use.file)}
}

// entry judges what the plugin answers to one entry's version.
func (p *probed) entry(use probedUser, speaks []string, mask *kubeconfig.Masker, flags func(*kubeconfig.File) string) (finding.Finding, bool) {
	asked := use.user.Exec.Version()
	i := slices.IndexFunc(p.results, func(r probe.Result) bool { return r.Asked == asked })
	if i < 0 {
		if len(p.results) == 0 || p.results[len(p.results)-1].Outcome == probe.Answered {
			return finding.Finding{}, false // a version that no client knows
		}
		i = len(p.results) - 1 // it was ended before its turn came
	}
	r := p.results[i]
	wrap := use.wrap("kubecred-exec translates", flags)
	var f finding.Finding
	switch {
	case r.Outcome == probe.Answered && r.Version == asked:
		return f, false
	case r.Outcome == probe.Answered:
		f = use.at("KC105", fmt.Sprintf("asked for %s, %s answered %s", asked, p.command, r.Version))
		f.Fix = wrap
	case len(speaks) > 0:
		f = use.at("KC105", fmt.Sprintf("asked for %s, %s gave no credential (%s); asked for %s it does", asked, p.command, mask.Values(r.Reason), strings.Join(speaks, " or ")))
		f.Fix = wrap
	case r.Outcome == probe.Garbled:
		f = use.at("KC111", fmt.Sprintf("what %s prints is no ExecCredential: %s", p.command, mask.Values(r.Reason)))
		f.Fix = finding.Fix{Summary: "run it by hand and look at what it prints"}
	case r.Outcome == probe.TimedOut:
		f = use.at("KC112", fmt.Sprintf("%s gave %s when nobody was there to ask, and was ended", p.command, r.Reason))
		f.Severity = finding.Warning
		f.Fix = finding.Fix{Summary: "run it by hand: it may wait for a login"}
	default:
		f = use.at("KC112", fmt.Sprintf("%s failed: %s", p.command, mask.Values(r.Reason)))
		f.Fix = finding.Fix{Summary: "run it by hand, with the entry's env"}
	}
	if r.Stderr != "" {
		f.Details = append(f.Details, "it says: "+mask.Line(r.Stderr))
	}
	f.Evidence["asked"] = asked
	f.Evidence["speaks"] = texts(speaks)
	return f, true
}

// summary says what the plugin speaks, how long it took and what its answer's life
// is.
func (p *probed) summary(r probe.Result, speaks []string, now time.Time, flags func(*kubeconfig.File) string) finding.Finding {
	spoken := strings.Join(speaks, ", ")
	if spoken == "" {
		spoken = r.Version + ", whatever is asked"
	}
	took := r.Took.Round(10 * time.Millisecond)
	if took == 0 {
		took = r.Took.Round(time.Millisecond)
	}
	f := p.uses[0].at("KC146", fmt.Sprintf("%s speaks %s, took %s, and its credential lives %s", p.command, spoken, took, probedLife(r, now)))
	if n := len(p.uses); n > 1 {
		f.Details = append(f.Details, fmt.Sprintf("%s run it alike", count(n, "user")))
	}
	if _, _, wrapped := p.uses[0].user.Exec.Wrapped(); r.Took >= slowPlugin && !wrapped {
		f.Fix = p.uses[0].wrap("answers from a cache", flags)
	}
	f.Evidence["speaks"] = texts(speaks)
	f.Evidence["tookSeconds"] = r.Took.Seconds()
	if !r.Expires.IsZero() {
		f.Evidence["expires"] = r.Expires.UTC().Format(time.RFC3339)
	}
	return f
}

func probedLife(r probe.Result, now time.Time) string {
	switch {
	case r.Expires.IsZero():
		return "for a time that nothing says"
	case r.Expires.Before(now):
		return "no more: it ended " + finding.Moment(r.Expires)
	}
	return finding.Span(r.Expires.Sub(now).Round(time.Second))
}

// endless is the finding for an answer without an announced end.
func (p *probed) endless(r probe.Result, now time.Time, flags func(*kubeconfig.File) string) finding.Finding {
	f := p.uses[0].at("KC144", fmt.Sprintf("the answer of %s has no expirationTimestamp: a client keeps the credential until the server refuses it", p.command))
	if !r.Expires.IsZero() {
		f.Details = []string{"the token itself ends in " + probedLife(r, now)}
	}
	f.Fix = finding.Fix{Summary: "kubecred-exec reads the end out of the token", Command: "kubecred kubeconfig wrap" + flags(p.uses[0].file)}
	return f
}

// withoutRepeats drops what the data says of an entry's version where a probe of
// the same entry knows better.
func withoutRepeats(said, probed []finding.Finding) []finding.Finding {
	better := map[finding.Where]bool{}
	for _, f := range probed {
		better[f.Where] = true
	}
	return slices.DeleteFunc(said, func(f finding.Finding) bool {
		return f.Code == "KC105" && better[f.Where]
	})
}
