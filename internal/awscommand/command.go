// Package awscommand reads the command line of kubecred-aws. It drops in for
// 'aws eks get-token' (AWS CLI 1.45) and 'aws-iam-authenticator token' (v0.7.18),
// so it knows the flags of both.
package awscommand

import (
	"errors"
	"fmt"
	"strings"
)

// Command is what kubecred-aws can be asked for.
type Command string

// The commands.
const (
	Token    Command = "token"
	Password Command = "get-credentials"
	Version  Command = "version"
	Help     Command = "help"
)

// Options is what the command line asks for.
type Options struct {
	Command                Command
	ClusterName, ClusterID string
	Region, Profile        string
	Roles                  []string
	SessionName            string
	ExternalID             string
	// ForwardSession: the role's session gets the name of the one that asks.
	ForwardSession bool
	TokenOnly      bool
	// Cache is aws-iam-authenticator's --cache, for which there is kubecred-exec.
	Cache    bool
	Identity string
	Hosts    []string

	output, query string // the AWS CLI's
}

// Parse reads the command line. Flags may stand before and after the command, as
// the AWS CLI's do.
func Parse(args []string) (Options, error) {
	o := Options{output: "json"}
	words, err := o.readFlags(args)
	if err != nil || o.Command != "" { // --help or --version
		return o, err
	}
	switch name := strings.Join(words, " "); name {
	case "token", "eks get-token":
		o.Command = Token
	case string(Version), string(Password), string(Help):
		o.Command = Command(name)
	case "":
		return o, errors.New("want token or get-credentials (kubecred-aws --help says more)")
	default:
		return o, fmt.Errorf("%.60q is none of token, get-credentials, version, help", name)
	}
	switch o.Command {
	case Token:
		err = o.checkToken()
	case Password:
		err = o.checkPassword()
	}
	if err == nil {
		err = o.checkRoles()
	}
	return o, err
}

func (o *Options) checkToken() error {
	if o.query == "status.token" && o.output == "text" { // how scripts have the AWS CLI print the token alone
		o.TokenOnly, o.query, o.output = true, "", "json"
	}
	switch {
	case o.query != "":
		return errors.New("--query is not for kubecred-aws; --token-only prints the token alone")
	case o.output != "json":
		return fmt.Errorf("--output %.20q: clients read json only", o.output)
	case o.ClusterName == "" && o.ClusterID == "":
		return errors.New("no cluster: give --cluster-name NAME")
	case len(o.Roles) == 0 && (o.SessionName != "" || o.ExternalID != ""):
		return errors.New("--session-name and --external-id belong to --role-arn, which is not given")
	case o.ForwardSession && o.SessionName != "":
		return errors.New("give --forward-session-name or --session-name, not both")
	case o.Identity != "" || len(o.Hosts) > 0:
		return errors.New("--identity and --host belong to get-credentials")
	}
	return nil
}

func (o *Options) checkPassword() error {
	switch {
	case o.ClusterName != "" || o.ClusterID != "" || o.TokenOnly || o.Region != "" || o.ExternalID != "" || o.ForwardSession:
		return errors.New("--cluster-name, --cluster-id, --region, --external-id, --forward-session-name and --token-only belong to token; the region is the registry's")
	case o.Identity != "" && o.Identity != "pod" && o.Identity != "node" && o.Identity != "pod-then-node":
		return fmt.Errorf("--identity %.20q: use pod, node or pod-then-node", o.Identity)
	}
	return nil
}

func (o *Options) checkRoles() error {
	for _, role := range o.Roles {
		parts := strings.SplitN(role, ":", 6)
		if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || !strings.HasPrefix(parts[5], "role/") {
			return fmt.Errorf("--role-arn %.100q is no role's ARN, want arn:aws:iam::ACCOUNT:role/NAME", role)
		}
	}
	return nil
}
