package awscommand

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// readFlags reads the flags of args and returns the words between them. They are
// written as for both peers: --name value, --name=value, -n value, -nvalue.
//
// It is done by hand because a library's reader would have the program link, and
// start, ten times what it needs for a token; see package awsquick.
func (o *Options) readFlags(args []string) (words []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return append(words, args...), nil
		case len(arg) < 2 || arg[0] != '-':
			words = append(words, arg)
			continue
		}
		name, value, isSet := strings.Cut(arg, "=")
		if !strings.HasPrefix(arg, "--") {
			if len(name) > 2 { // -nvalue, which may hold an = itself
				name, value, isSet = arg[:2], arg[2:], true
			}
			long, ok := shorthand[name]
			if !ok {
				return nil, fmt.Errorf("unknown shorthand flag: %.40q (kubecred-aws --help says more)", name)
			}
			name = long
		}
		if o.isSwitch(name) != nil {
			if err := o.turn(name, value, isSet); err != nil {
				return nil, err
			}
			if o.Command != "" { // --help or --version
				return nil, nil
			}
			continue
		}
		if why, ok := elsewhere[name]; ok {
			return nil, errors.New(name + ": " + why)
		}
		if o.value(name) == nil && !without[name] {
			return nil, fmt.Errorf("unknown flag: %s (kubecred-aws --help says more)", oneLine(name))
		}
		if !isSet {
			if len(args) == 0 {
				return nil, fmt.Errorf("flag needs an argument: %s (kubecred-aws --help says more)", name)
			}
			value, args = args[0], args[1:]
		}
		if set := o.value(name); set != nil {
			set(value)
		}
	}
	return words, nil
}

var shorthand = map[string]string{
	"-i": "--cluster-id", "-r": "--role-arn", "-s": "--session-name", "-e": "--external-id", "-h": "--help",
	"-l": "--log-format", "-v": "--log-verbosity", "-c": "--config",
}

// without are flags of the peers that take a value and change nothing about a
// token: there is no log and nothing in colours.
var without = map[string]bool{
	"--color": true, "--cli-binary-format": true, "--cli-read-timeout": true, "--cli-connect-timeout": true,
	"--log-format": true, "--log-verbosity": true, "--feature-gates": true,
}

// elsewhere are flags of the peers that mean something which is said otherwise
// here.
var elsewhere = map[string]string{
	"--endpoint-url":    "set AWS_ENDPOINT_URL_STS, or endpoint_url in the profile",
	"--ca-bundle":       "set AWS_CA_BUNDLE",
	"--no-verify-ssl":   "certificates are always checked; AWS_CA_BUNDLE names further ones",
	"--no-sign-request": "a token is nothing but a signature",
	"--config":          "kubecred-aws has no configuration file; give --cluster-id",
}

// value returns what sets the option of a flag that takes a value, nil where
// there is none.
func (o *Options) value(name string) func(string) {
	to := func(s *string) func(string) { return func(v string) { *s = v } }
	add := func(list *[]string) func(string) { return func(v string) { *list = append(*list, v) } }
	switch name {
	case "--cluster-name":
		return to(&o.ClusterName)
	case "--cluster-id":
		return to(&o.ClusterID)
	case "--region":
		return to(&o.Region)
	case "--profile":
		return to(&o.Profile)
	case "--role-arn", "--role":
		return add(&o.Roles)
	case "--session-name":
		return to(&o.SessionName)
	case "--external-id":
		return to(&o.ExternalID)
	case "--output":
		return to(&o.output)
	case "--query":
		return to(&o.query)
	case "--identity":
		return to(&o.Identity)
	case "--host":
		return add(&o.Hosts)
	}
	return nil
}

// isSwitch returns what a flag without a value turns on, nil where it takes one.
func (o *Options) isSwitch(name string) *bool {
	switch name {
	case "--token-only":
		return &o.TokenOnly
	case "--forward-session-name":
		return &o.ForwardSession
	case "--cache":
		return &o.Cache
	case "--help", "--version", "--debug", "--v2-debug", "--no-cli-pager", "--no-paginate", "--cli-auto-prompt", "--no-cli-auto-prompt":
		return new(bool) // nothing of a token changes
	}
	return nil
}

func (o *Options) turn(name, value string, isSet bool) error {
	on := true
	if isSet {
		var err error
		if on, err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("%s=%.20q: want true or false", name, value)
		}
	}
	switch name {
	case "--help":
		o.Command = Help
	case "--version":
		o.Command = Version
	}
	*o.isSwitch(name) = on
	return nil
}

// oneLine keeps what was typed on the line of an error.
func oneLine(name string) string {
	if strings.ContainsFunc(name, unicode.IsControl) || len(name) > 40 {
		return fmt.Sprintf("%.40q", name)
	}
	return name
}
