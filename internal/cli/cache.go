package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/broker"
	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/inspect"
)

func (a *app) cacheCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Show and empty the cache of kubecred-exec",
		Args:  subcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.cacheListCommand(), a.cacheClearCommand())
	return cmd
}

func (a *app) cacheListCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show what kubecred-exec keeps: whose, for what, until when",
		Long: `Show what kubecred-exec keeps: whose credential it is, which command gave it,
and until when it is handed out. The credentials themselves are never shown.`,
		Example: `  kubecred cache list
  kubecred cache list -o json`,
		Args: noArguments(""),
		RunE: func(*cobra.Command, []string) error { return a.cacheList(format) },
	}
	cmd.Flags().StringVarP(&format, "output", "o", "text", "format: text, json")
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func (a *app) cacheClearCommand() *cobra.Command {
	var expired bool
	cmd := &cobra.Command{
		Use:   "clear",
		Short: "Remove what kubecred-exec keeps, so that every issuer is asked anew",
		Example: `  kubecred cache clear
  kubecred cache clear --expired`,
		Args: noArguments(""),
		RunE: func(*cobra.Command, []string) error { return a.cacheClear(expired) },
	}
	cmd.Flags().BoolVar(&expired, "expired", false, "remove only what is not handed out any more")
	return cmd
}

// cacheDirs are the directories in which kubecred-exec keeps things: one for
// both roads, but for a kubelet that runs without a home.
func (a *app) cacheDirs() ([]string, error) {
	var dirs []string
	var errs []error
	for _, road := range []string{"client", "image"} {
		dir, err := broker.DefaultDir(road)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !slices.Contains(dirs, dir):
			dirs = append(dirs, dir)
		}
	}
	// The kubelet's, where this program has a home and the kubelet has none.
	if info, err := os.Stat(broker.NodeDir); err == nil && info.IsDir() && os.Geteuid() == 0 && !slices.Contains(dirs, broker.NodeDir) && a.Getenv(broker.DirEnv) == "" {
		dirs = append(dirs, broker.NodeDir)
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("there is no cache: %w", errs[0])
	}
	return dirs, nil
}

// keptJSON is one entry in JSON.
type keptJSON struct {
	Road        string    `json:"road"`
	Issuer      string    `json:"issuer"`
	Whose       string    `json:"whose"`
	For         string    `json:"for,omitempty"`
	Created     time.Time `json:"created"`
	Expires     time.Time `json:"expires,omitzero"`
	HandedOutTo time.Time `json:"handedOutUntil"`
	Live        bool      `json:"live"`
	LastRefusal time.Time `json:"lastRefusal,omitzero"`
	Key         string    `json:"key"`
	CacheDir    string    `json:"dir"`
}

func (a *app) cacheList(format string) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("-o %q: use one of text, json", format)
	}
	dirs, err := a.cacheDirs()
	if err != nil {
		return err
	}
	now := a.Now()
	out := []keptJSON{}
	damaged := 0
	for _, dir := range dirs {
		kept, bad, err := broker.List(dir)
		if err != nil {
			return err
		}
		damaged += bad
		for _, k := range kept {
			out = append(out, keptJSON{
				Road: k.Road, Issuer: k.Issuer, Whose: whose(k, now), For: k.For, Created: k.Created.UTC(), Expires: utc(k.Expires),
				HandedOutTo: k.Until.UTC(), Live: k.Until.After(now) && !k.Created.After(now), LastRefusal: utc(k.Refused), Key: k.Key, CacheDir: dir,
			})
		}
	}
	if format == "json" {
		enc := json.NewEncoder(a.Stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"apiVersion": finding.APIVersion, "kind": "Cache", "entries": out, "damaged": damaged})
	}
	a.cacheText(out, dirs, damaged, now)
	return nil
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func (a *app) cacheText(out []keptJSON, dirs []string, damaged int, now time.Time) {
	for _, k := range out {
		fmt.Fprintf(a.Stdout, "%-6s   %s\n", k.Road, printable(k.Issuer))
		if k.For != "" {
			fmt.Fprintf(a.Stdout, "  for      %s\n", printable(k.For))
		}
		if k.Whose != "" {
			fmt.Fprintf(a.Stdout, "  whose    %s\n", printable(k.Whose))
		}
		state := "handed out until " + finding.Moment(k.HandedOutTo)
		switch {
		case k.Live:
			state += ", for " + finding.Span(k.HandedOutTo.Sub(now)) + " more"
		case k.Created.After(now):
			state = "from the future, so not used: the clock was set back"
		default:
			state = "not handed out any more, since " + finding.Span(now.Sub(k.HandedOutTo)) + " ago"
		}
		fmt.Fprintf(a.Stdout, "  state    %s\n", state)
		fmt.Fprintf(a.Stdout, "  made     %s ago\n", finding.Span(now.Sub(k.Created)))
		if !k.LastRefusal.IsZero() {
			fmt.Fprintf(a.Stdout, "  refusal  %s ago a client was refused, and the issuer asked again\n", finding.Span(now.Sub(k.LastRefusal)))
		}
		fmt.Fprintln(a.Stdout)
	}
	for _, dir := range dirs {
		n := 0
		for _, k := range out {
			if k.CacheDir == dir {
				n++
			}
		}
		fmt.Fprintf(a.Stdout, "%s: %s\n", dir, entries(n))
	}
	if damaged > 0 {
		fmt.Fprintf(a.Stdout, "%s cannot be read and so not used; 'kubecred cache clear' removes them\n", entries(damaged))
	}
}

// entries counts them in words.
func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// whose names the identity in a kept credential, as far as it tells.
func whose(k broker.Kept, now time.Time) string {
	answer := k.Answer()
	if answer == nil {
		return ""
	}
	c, err := inspect.Inspect(string(answer), inspect.Options{Now: now})
	if err != nil {
		return ""
	}
	facts := map[string]string{}
	for _, f := range c.Facts {
		if s, ok := f.Value.(string); ok {
			facts[f.Key] = s
		}
	}
	switch {
	case facts["accessKeyID"] != "":
		return "AWS access key " + facts["accessKeyID"] + ", " + facts["region"]
	case facts["serviceAccount"] != "":
		return "service account " + facts["serviceAccount"]
	case facts["subject"] != "":
		return facts["subject"] + " of " + facts["issuer"]
	case facts["certificateSubject"] != "":
		return "certificate of " + facts["certificateSubject"]
	case c.Kind == "CredentialProviderResponse":
		return strings.Join(users(c), "; ")
	case facts["token"] == "opaque":
		return "a token that tells nothing of itself"
	}
	return ""
}

// users are the registry's users that a provider's answer names.
func users(c inspect.Credential) []string {
	for _, f := range c.Facts {
		if list, ok := f.Value.([]string); ok && f.Key == "auth" {
			return list
		}
	}
	return []string{"no credential"}
}

func (a *app) cacheClear(expired bool) error {
	dirs, err := a.cacheDirs()
	if err != nil {
		return err
	}
	now := a.Now()
	var which func(broker.Kept) bool
	if expired {
		which = func(k broker.Kept) bool { return !k.Until.After(now) || k.Created.After(now) }
	}
	var failed error
	for _, dir := range dirs {
		n, err := broker.Clear(dir, which)
		failed = errors.Join(failed, err)
		if err == nil {
			fmt.Fprintf(a.Stdout, "%s: %s removed\n", dir, entries(n))
		}
	}
	return failed
}
