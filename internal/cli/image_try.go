package cli

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/imagecred"
	"github.com/kubecred/kubecred/internal/registry"
)

type imageTryOptions struct {
	imageSource
	imageHostOptions
	format    string
	hostsDir  string
	ca        string
	plainHTTP bool
	timeout   time.Duration
}

func (a *app) imageTryCommand() *cobra.Command {
	var o imageTryOptions
	cmd := &cobra.Command{
		Use:   "try IMAGE",
		Short: "Ask the registry which of the kubelet's logins may pull an image",
		Long: `Runs the providers as 'kubecred image explain --run' does, then asks the registry
for the image's manifest with each login in the kubelet's order, and at last
with none. Only the head of the manifest is asked for; nothing is pulled.

The exit status is 0 where a kubelet could pull the image, and 1 where not.`,
		Example: `  kubecred image try --config config.yaml --bin-dir /opt/credential-providers registry.example.com/team/app:1
  kubecred image try --pull-secret secret.yaml --hosts-dir /etc/containerd/certs.d docker.io/me/app`,
		Args: between(1, 1, "give one IMAGE, such as registry.example.com/team/app:1"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.imageTry(cmd.Context(), &o, args[0]) },
	}
	o.imageSource.register(cmd)
	o.imageHostOptions.register(cmd)
	f := cmd.Flags()
	f.StringVar(&o.hostsDir, "hosts-dir", "", "containerd's config_path: a folder, or a list of them, with a hosts.toml for each registry, for mirrors")
	f.StringVar(&o.ca, "ca", "", "file with certificates to trust beside the system's")
	f.BoolVar(&o.plainHTTP, "plain-http", false, "ask the registry without TLS")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait for one login at one address")
	f.StringVarP(&o.format, "output", "o", "text", "format: text, json")
	must(cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// tried is one login with what the registry, and its mirrors, answered.
type tried struct {
	attempt *imagecred.Attempt // nil for nobody
	answers []registry.Answer
}

func (t tried) ok() bool {
	return slices.ContainsFunc(t.answers, func(a registry.Answer) bool { return a.OK })
}

func (a *app) imageTry(ctx context.Context, o *imageTryOptions, image string) error {
	if o.format != "text" && o.format != "json" {
		return fmt.Errorf("-o %q: use one of text, json", o.format)
	}
	if o.timeout <= 0 {
		return errors.New("--timeout: give a time above 0")
	}
	version, err := o.kubernetesVersion()
	if err != nil {
		return err
	}
	ref, err := imagecred.ParseImage(image)
	if err != nil {
		return fmt.Errorf("%s; the kubelet says InvalidImageName", oneLine(err.Error()))
	}
	endpoints, ignored, err := o.endpoints(ref)
	if err != nil {
		return err
	}
	story, err := a.tryStory(ctx, o, ref, version)
	if err != nil {
		return err
	}
	var all []tried
	for i := range story.Attempts {
		t := &story.Attempts[i]
		all = append(all, tried{t, ask(ctx, endpoints, ref, &registry.Login{Username: t.Username, Password: t.Password.Reveal()}, o.timeout)})
	}
	all = append(all, tried{nil, ask(ctx, endpoints, ref, nil, o.timeout)})
	if err := ctx.Err(); err != nil {
		return err
	}
	pulls := story.Refusal == "" && slices.ContainsFunc(all, func(t tried) bool { return t.ok() && (t.attempt != nil || len(all) == 1) })
	if o.format == "json" {
		if err := a.tryJSON(ref, story, all, pulls, ignored); err != nil {
			return err
		}
	} else {
		a.tryText(ref, story, all, pulls, ignored)
	}
	if !pulls {
		return exitError(exitFindings)
	}
	return nil
}

// tryStory runs the providers; without a config there are only the logins that
// the flags name.
func (a *app) tryStory(ctx context.Context, o *imageTryOptions, ref imagecred.Ref, version imagecred.Version) (imagecred.Story, error) {
	story := imagecred.Story{Ref: ref}
	pod, _, err := a.imagePod(ctx, &o.imageHostOptions)
	if err != nil {
		return story, err
	}
	configs := []*imagecred.Config{{}}
	hosts := []*imagecred.Host{{Config: configs[0], Now: a.Now}}
	paths, binDir, err := a.imagePaths(o.configs, o.binDir, "")
	if err == nil {
		o.binDir = binDir
		if configs, err = a.loadImageConfigs(ctx, paths, version); err != nil {
			return story, err
		}
		a.tellProblems(configs)
		if hosts, err = a.imageHosts(configs, &o.imageHostOptions, version); err != nil {
			return story, err
		}
	} else if o.binDir != "" {
		return story, err
	}
	return wholeStory(ctx, hosts, ref, pod)
}

// endpoints are where a runtime asks for the image. ignored is the hosts.toml that it
// passes over, and why.
func (o *imageTryOptions) endpoints(ref imagecred.Ref) (endpoints []registry.Endpoint, ignored string, err error) {
	options := registry.Options{HostsDirs: filepath.SplitList(o.hostsDir), PlainHTTP: o.plainHTTP, Digest: ref.Digest != ""}
	isDir := func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && info.IsDir()
	}
	// A list may name folders that this machine does not have, as containerd's own
	// config_path does.
	if o.hostsDir != "" && !slices.ContainsFunc(options.HostsDirs, isDir) {
		return nil, "", fmt.Errorf("--hosts-dir %s: no such directory", o.hostsDir)
	}
	if o.ca != "" {
		pem, err := readBounded(o.ca, 10<<20)
		if err != nil {
			return nil, "", fmt.Errorf("--ca %s: %w", o.ca, err)
		}
		if options.Roots, err = x509.SystemCertPool(); err != nil {
			options.Roots = x509.NewCertPool()
		}
		if !options.Roots.AppendCertsFromPEM(pem) {
			return nil, "", fmt.Errorf("--ca %s: holds no certificate in PEM", o.ca)
		}
	}
	host, _, _ := strings.Cut(ref.Repository, "/")
	return registry.Endpoints(host, options)
}

// ask shows a login to the mirrors and the registry until one lets it pull.
func ask(ctx context.Context, endpoints []registry.Endpoint, ref imagecred.Ref, login *registry.Login, timeout time.Duration) []registry.Answer {
	host, path, _ := strings.Cut(ref.Repository, "/")
	image := registry.Image{Host: host, Path: path, Reference: ref.Digest}
	if image.Reference == "" {
		image.Reference = ref.Tag
	}
	var out []registry.Answer
	for _, e := range endpoints {
		bounded, cancel := context.WithTimeout(ctx, timeout)
		answer := registry.Check(bounded, e, image, login)
		cancel()
		out = append(out, answer)
		if answer.OK || ctx.Err() != nil {
			break
		}
	}
	return out
}

func (a *app) tryText(ref imagecred.Ref, story imagecred.Story, all []tried, pulls bool, ignored string) {
	fmt.Fprintln(a.Stdout, oneLine(ref.Image))
	if ref.Image != ref.Repository {
		fmt.Fprintf(a.Stdout, "  the kubelet compares %s\n", ref.Repository)
	}
	for _, line := range runLines(imagecred.Story{Ref: ref, Outcomes: story.Outcomes}, a.Now()) {
		if !strings.HasPrefix(line, "  then ") {
			fmt.Fprintln(a.Stdout, oneLine(line))
		}
	}
	if ignored != "" {
		fmt.Fprintf(a.Stdout, "  containerd passes over %s\n", oneLine(ignored))
		fmt.Fprintln(a.Stdout, "  so no mirror is asked; its own log alone says so")
	}
	for i, t := range all {
		who := "nobody"
		if t.attempt != nil {
			who = fmt.Sprintf("%s from %s", loginName(t.attempt.Username), t.attempt.Provider)
			if !t.attempt.ExpiresAt.IsZero() {
				who += ", " + keptFor(t.attempt.ExpiresAt, a.Now())
			}
		}
		fmt.Fprintf(a.Stdout, "  %d. as %s\n", i+1, oneLine(who))
		for _, answer := range t.answers {
			fmt.Fprintf(a.Stdout, "     %s   %s%s\n", answer.Endpoint, oneLine(answer.Message), answerExtra(answer))
		}
	}
	fmt.Fprintf(a.Stdout, "  %s\n", verdict(story, all, pulls))
}

func answerExtra(a registry.Answer) string {
	var parts []string
	if a.Status > 0 && !strings.HasSuffix(a.Message, ")") {
		parts = append(parts, fmt.Sprint(a.Status))
	}
	if a.Scheme != "" {
		parts = append(parts, a.Scheme)
	}
	if a.TokenLife > 0 {
		parts = append(parts, "the registry's token lasts "+finding.Span(a.TokenLife))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// verdict says what a kubelet would come to.
func verdict(story imagecred.Story, all []tried, pulls bool) string {
	last := all[len(all)-1]
	switch {
	case story.Refusal != "":
		return "a kubelet does not even try: " + oneLine(story.Refusal)
	case pulls && len(all) == 1:
		return "a kubelet pulls this without a login"
	case pulls:
		for i, t := range all {
			if t.ok() {
				return fmt.Sprintf("a kubelet pulls this with login %d", i+1)
			}
		}
	case last.ok():
		return "a kubelet fails, though the image is public: where it has a login, it never tries without one"
	case !statusSeen(all, func(status int) bool { return status != 0 }):
		return "a kubelet here fails: no registry answered, so nothing is known of the logins"
	case !statusSeen(all, func(status int) bool { return status == http.StatusUnauthorized || status == http.StatusForbidden }) &&
		statusSeen(all, func(status int) bool { return status == http.StatusNotFound }):
		return "a kubelet fails: the registry has no such image"
	case len(all) == 1:
		return "a kubelet fails: it has no login, and the registry wants one"
	}
	return "a kubelet fails: the registry takes none of the logins"
}

// statusSeen tells whether a registry's status was one of those.
func statusSeen(all []tried, status func(int) bool) bool {
	return slices.ContainsFunc(all, func(t tried) bool {
		return slices.ContainsFunc(t.answers, func(a registry.Answer) bool { return status(a.Status) })
	})
}

func (a *app) tryJSON(ref imagecred.Ref, story imagecred.Story, all []tried, pulls bool, ignored string) error {
	type answerJSON struct {
		Endpoint  string  `json:"endpoint"`
		OK        bool    `json:"ok"`
		Status    int     `json:"status"`
		Scheme    string  `json:"scheme"`
		Message   string  `json:"message"`
		Digest    string  `json:"digest,omitempty"`
		TokenLife float64 `json:"tokenSeconds,omitempty"`
	}
	type triedJSON struct {
		attemptJSON
		Anonymous bool         `json:"anonymous"`
		OK        bool         `json:"ok"`
		Answers   []answerJSON `json:"answers"`
	}
	out := struct {
		Image      string      `json:"image"`
		Repository string      `json:"repository"`
		Pulls      bool        `json:"pulls"`
		Verdict    string      `json:"verdict"`
		Attempts   []triedJSON `json:"attempts"`
		Runs       []runJSON   `json:"runs"`
		// HostsIgnored names the hosts.toml that containerd passes over, and why.
		HostsIgnored string `json:"hostsIgnored,omitempty"`
	}{Image: ref.Image, Repository: ref.Repository, Pulls: pulls, HostsIgnored: ignored, Verdict: verdict(story, all, pulls)}
	told := storyJSON(story)
	out.Runs = told.Runs
	for i, t := range all {
		j := triedJSON{Anonymous: t.attempt == nil, OK: t.ok(), Answers: []answerJSON{}}
		if t.attempt != nil {
			j.attemptJSON = told.Attempts[i]
		}
		for _, answer := range t.answers {
			j.Answers = append(j.Answers, answerJSON{answer.Endpoint, answer.OK, answer.Status, answer.Scheme, answer.Message, answer.Digest, answer.TokenLife.Seconds()})
		}
		out.Attempts = append(out.Attempts, j)
	}
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
