package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/kubecred/kubecred/broker"
	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
)

// maxOutcomes is how many past outcomes are told of one image.
const maxOutcomes = 3

// pastOutcomes reads the journals of kubecred-exec image on this machine, by
// registry: where it keeps them by itself, and where the configs tell it to. What
// cannot be read tells nothing.
func (a *app) pastOutcomes(configs []*imagecred.Config) map[string][]broker.Outcome {
	out := map[string][]broker.Outcome{}
	for _, dir := range a.journalDirs(configs) {
		outcomes, err := broker.Journal(dir)
		if err != nil {
			continue
		}
		for _, o := range outcomes {
			out[o.Registry] = append(out[o.Registry], o)
		}
	}
	return out
}

// journalDirs are the caches in which there may be a journal.
func (a *app) journalDirs(configs []*imagecred.Config) []string {
	dirs, err := a.cacheDirs()
	if err != nil {
		dirs = nil // there is no cache of this user's own
	}
	for _, c := range configs {
		for i := range c.Providers {
			for _, e := range c.Providers[i].Env {
				if e.Name == broker.DirEnv && filepath.IsAbs(e.Value) && !slices.Contains(dirs, e.Value) {
					dirs = append(dirs, e.Value)
				}
			}
		}
	}
	return dirs
}

// withJournal tells, after the story of an image, what became of the kubelet's
// last questions for its registry.
func (a *app) withJournal(configs []*imagecred.Config, show func(imagecred.Ref) error, flush func() error) func(imagecred.Ref) error {
	past := a.pastOutcomes(configs)
	if len(past) == 0 {
		return show
	}
	return func(ref imagecred.Ref) error {
		if err := show(ref); err != nil {
			return err
		}
		outcomes := lastOutcomes(past, ref.Repository)
		if len(outcomes) == 0 {
			return nil
		}
		if err := flush(); err != nil {
			return err
		}
		fmt.Fprintln(a.Stdout, "  what kubecred-exec did for this registry")
		for _, o := range outcomes {
			fmt.Fprintf(a.Stdout, "    %s\n", printable(outcomeLine(o, a.Now())))
		}
		return nil
	}
}

// lastOutcomes are the last ones for the repository's registry, oldest first.
func lastOutcomes(past map[string][]broker.Outcome, repository string) []broker.Outcome {
	registry := repository
	for i := range len(repository) {
		if repository[i] == '/' {
			registry = repository[:i]
			break
		}
	}
	outcomes := past[registry]
	return outcomes[max(0, len(outcomes)-maxOutcomes):]
}

func outcomeLine(o broker.Outcome, now time.Time) string {
	at := "at " + finding.Moment(o.Time)
	if now.Sub(o.Time) < 24*time.Hour && now.UTC().Day() == o.Time.UTC().Day() {
		at = "at " + o.Time.UTC().Format("15:04 UTC")
	}
	who := ""
	if o.ServiceAccount != "" {
		who = " with the service account " + o.ServiceAccount
	}
	took := fmt.Sprintf(" (%.1f s)", o.Seconds)
	switch {
	case !o.OK:
		return fmt.Sprintf("%s there was no credential for %s%s, because %s%s", at, o.Image, who, o.Error, took)
	case o.Stale:
		return fmt.Sprintf("%s %s got the credential at hand%s, because a new one was not to be had: %s%s", at, o.Image, who, o.Error, took)
	case o.Empty:
		return fmt.Sprintf("%s the issuer had no credential for %s%s%s", at, o.Image, who, took)
	}
	warned := ""
	if o.Warning != "" {
		warned = ", and kubecred-aws said: " + o.Warning
	}
	return fmt.Sprintf("%s %s got a new credential%s%s%s", at, o.Image, who, took, warned)
}
