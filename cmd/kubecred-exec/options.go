package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubecred/kubecred/broker"
	"github.com/kubecred/kubecred/internal/release"
)

const usage = `kubecred-exec: a credential plugin that asks another one, and remembers

usage:
  kubecred-exec client [flags] -- ISSUER ARGS...
  kubecred-exec image [flags] -- ISSUER ARGS...
  kubecred-exec version

  client   answers kubectl and every other client that speaks the protocol of
           client-go's exec plugins
  image    answers the kubelet, as an image credential provider

ISSUER is any program that speaks the same protocol, in any of its versions. It
is looked for beside kubecred-exec, then in PATH.

flags, each with the variable that does the same:
  --no-cache             keep nothing and read nothing       KUBECRED_NO_CACHE=1
  --no-refusals          do not take a second question of    KUBECRED_REFUSALS=off
                         the same process for a refusal
  --timeout DURATION     bound of the issuer's run, 45s      KUBECRED_TIMEOUT
  --login-timeout DURATION
                         the same where it may ask the       KUBECRED_LOGIN_TIMEOUT
                         person, 10m
  --key-env NAME,...     variables that count although they  KUBECRED_KEY_ENV
                         are on the list of those that do not
  --ignore-env NAME,...  variables that do not count         KUBECRED_IGNORE_ENV
  --key-file FILE,...    files whose contents count          KUBECRED_KEY_FILES

The cache is in KUBECRED_CACHE_DIR, or kubecred/exec in XDG_CACHE_HOME
(~/.cache).
'kubecred cache list' shows what is in it.
`

// options is what the command line and the environment ask for.
type options struct {
	text                  string // to be printed, and nothing else done
	warning               string
	road                  string
	dir                   string
	refusals              bool
	timeout, loginTimeout time.Duration
	key                   broker.KeyOptions
	issuer                string
	args                  []string
}

// parse reads the command line; the environment's settings come first, and a
// flag wins over them.
func parse(args, environ []string) (*options, error) {
	env := environment(environ)
	o := &options{refusals: true, timeout: broker.DefaultTimeout, loginTimeout: broker.DefaultLoginTimeout}
	if len(args) == 0 {
		return o, errors.New("want client or image, then -- ISSUER ARGS... (kubecred-exec --help says more)")
	}
	switch args[0] {
	case "client", "image":
		o.road = args[0]
	case "version", "--version":
		o.text = "kubecred-exec " + release.Version() + "\n"
		return o, nil
	case "help", "--help", "-h":
		o.text = usage
		return o, nil
	default:
		return o, fmt.Errorf("%.40q is none of client, image, version, help", args[0])
	}
	noCache := isOn(env("KUBECRED_NO_CACHE"))
	if v := env("KUBECRED_REFUSALS"); v != "" {
		o.refusals = isOn(v)
	}
	for _, s := range []struct{ env, flag string }{
		{"KUBECRED_TIMEOUT", "timeout"}, {"KUBECRED_LOGIN_TIMEOUT", "login-timeout"},
		{"KUBECRED_KEY_ENV", "key-env"}, {"KUBECRED_IGNORE_ENV", "ignore-env"}, {"KUBECRED_KEY_FILES", "key-file"},
	} {
		if v := env(s.env); v != "" {
			if err := o.set(s.flag, v); err != nil {
				return o, fmt.Errorf("%s: %w", s.env, err)
			}
		}
	}
	rest := args[1:]
	for len(rest) > 0 && rest[0] != "--" && strings.HasPrefix(rest[0], "-") {
		arg := rest[0]
		rest = rest[1:]
		switch arg {
		case "--no-cache":
			noCache = true
			continue
		case "--no-refusals":
			o.refusals = false
			continue
		case "--help", "-h":
			o.text = usage
			return o, nil
		}
		name, value, isSet := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !strings.HasPrefix(arg, "--") || !hasValue(name) {
			return o, fmt.Errorf("unknown flag %.40s; the issuer and its arguments stand after -- (kubecred-exec --help says more)", arg)
		}
		if !isSet {
			if len(rest) == 0 {
				return o, fmt.Errorf("--%s wants a value", name)
			}
			value, rest = rest[0], rest[1:]
		}
		if err := o.set(name, value); err != nil {
			return o, fmt.Errorf("--%s: %w", name, err)
		}
	}
	if len(rest) > 0 && rest[0] == "--" {
		rest = rest[1:]
	}
	if len(rest) == 0 || rest[0] == "" {
		return o, errors.New("no issuer given: want " + o.road + " -- ISSUER ARGS...")
	}
	o.issuer, o.args = rest[0], rest[1:]
	if !noCache {
		var err error
		if o.dir, err = broker.DefaultDir(o.road); err != nil {
			o.warning = "works without its cache: " + err.Error()
		}
	}
	return o, nil
}

// hasValue tells whether there is a flag of that name that takes a value.
func hasValue(flag string) bool {
	switch flag {
	case "timeout", "login-timeout", "key-env", "ignore-env", "key-file":
		return true
	}
	return false
}

// set sets what such a flag, or its variable, stands for.
func (o *options) set(flag, value string) error {
	switch flag {
	case "timeout":
		return duration(&o.timeout, value)
	case "login-timeout":
		return duration(&o.loginTimeout, value)
	case "key-env":
		o.key.Env = list(value)
	case "ignore-env":
		o.key.IgnoreEnv = list(value)
	case "key-file":
		return files(&o.key.Files, value)
	}
	return nil
}

// environment looks variables up, the last of a name counting.
func environment(environ []string) func(string) string {
	return func(name string) string {
		for i := len(environ) - 1; i >= 0; i-- {
			if v, ok := strings.CutPrefix(environ[i], name+"="); ok {
				return v
			}
		}
		return ""
	}
}

func isOn(s string) bool {
	switch strings.ToLower(s) {
	case "", "0", "off", "no", "false":
		return false
	}
	return true
}

func duration(to *time.Duration, s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%.40q is no duration, want one such as 45s or 2m", s)
	}
	*to = d
	return nil
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// files reads a list of absolute paths: a relative one would mean another file
// in every directory.
func files(to *[]string, s string) error {
	var names []string
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !filepath.IsAbs(name) {
			return fmt.Errorf("%.80q is no absolute path", name)
		}
		names = append(names, name)
	}
	*to = names
	return nil
}
