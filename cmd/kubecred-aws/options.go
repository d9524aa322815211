package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kubecred/kubecred/internal/awsissuer"
)

// version is set by the release build with -ldflags -X.
var version = ""

const usage = `kubecred-aws: credentials of AWS for Kubernetes

usage:
  kubecred-aws token --cluster-name NAME [flags]
  kubecred-aws get-credentials [flags]
  kubecred-aws version

  token    prints an ExecCredential with a token for an EKS cluster, in the
           version that the client asks for. It takes the flags of
           'aws eks get-token' and of 'aws-iam-authenticator token'; also
           'kubecred-aws eks get-token ...' means the same.

  get-credentials
           answers the kubelet, as an image credential provider, for registries
           of Amazon ECR and no others: reads a CredentialProviderRequest on
           stdin, prints a CredentialProviderResponse

flags of token:
      --cluster-name NAME   the cluster
  -i, --cluster-id ID       the cluster's id, on Outposts, or its name
      --region REGION       AWS region; else AWS_REGION, or the profile's
  -e, --external-id ID      external id that the role wants
      --token-only          print the token alone

flags of both:
      --profile NAME        profile of the AWS config files; else AWS_PROFILE
  -r, --role-arn ARN        role to assume (also --role); again for a chain
  -s, --session-name NAME   name of the role's session

flags of get-credentials:
      --identity WHO        who asks ECR: pod (with the service account's token),
                            node, or pod-then-node, which says so when it falls
                            back; pod where the kubelet sends a token, else node
      --host HOST=REGISTRY  a host of your own that stands for a registry of ECR,
                            such as a pull-through proxy; may be given again
`

// options is what the command line asks for.
type options struct {
	command                string
	clusterName, clusterID string
	region, profile        string
	roles                  []string
	sessionName            string
	externalID             string
	tokenOnly              bool
	identity               string
	hosts                  []string
}

func (o options) source() awsissuer.Source {
	return awsissuer.Source{
		Profile: o.profile, Region: o.region, Roles: o.roles, SessionName: o.sessionName, ExternalID: o.externalID,
	}
}

// parse reads the command line. Flags may stand before and after the command, as
// the AWS CLI's do.
func parse(args []string) (options, error) {
	var o options
	var output string
	var noPager bool
	f := pflag.NewFlagSet("kubecred-aws", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&o.clusterName, "cluster-name", "", "")
	f.StringVarP(&o.clusterID, "cluster-id", "i", "", "")
	f.StringVar(&o.region, "region", "", "")
	f.StringVar(&o.profile, "profile", "", "")
	f.StringArrayVarP(&o.roles, "role-arn", "r", nil, "")
	f.StringVarP(&o.sessionName, "session-name", "s", "", "")
	f.StringVarP(&o.externalID, "external-id", "e", "", "")
	f.BoolVar(&o.tokenOnly, "token-only", false, "")
	f.StringVar(&o.identity, "identity", "", "")
	f.StringArrayVar(&o.hosts, "host", nil, "")
	f.StringVar(&output, "output", "json", "") // the AWS CLI's, json alone
	f.BoolVar(&noPager, "no-cli-pager", false, "")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "role" {
			name = "role-arn"
		}
		return pflag.NormalizedName(name)
	})
	if err := f.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w (kubecred-aws --help says more)", err)
	}
	switch words := strings.Join(f.Args(), " "); words {
	case "token", "eks get-token":
		o.command = "token"
	case "version", "get-credentials":
		o.command = words
	case "help":
		return o, pflag.ErrHelp
	case "":
		return o, errors.New("want token or get-credentials (kubecred-aws --help says more)")
	default:
		return o, fmt.Errorf("%.60q is none of token, get-credentials, version, help", words)
	}
	var err error
	switch o.command {
	case "token":
		err = o.checkToken(output)
	case "get-credentials":
		err = o.checkPassword()
	}
	if err == nil {
		err = o.checkRoles()
	}
	return o, err
}

func (o options) checkToken(output string) error {
	switch {
	case output != "json":
		return fmt.Errorf("--output %.20q: clients read json only", output)
	case o.clusterName == "" && o.clusterID == "":
		return errors.New("no cluster: give --cluster-name NAME")
	case len(o.roles) == 0 && (o.sessionName != "" || o.externalID != ""):
		return errors.New("--session-name and --external-id belong to --role-arn, which is not given")
	case o.identity != "" || len(o.hosts) > 0:
		return errors.New("--identity and --host belong to get-credentials")
	}
	return nil
}

func (o options) checkPassword() error {
	switch {
	case o.clusterName != "" || o.clusterID != "" || o.tokenOnly || o.region != "" || o.externalID != "":
		return errors.New("--cluster-name, --cluster-id, --region, --external-id and --token-only belong to token; the region is the registry's")
	case o.identity != "" && o.identity != "pod" && o.identity != "node" && o.identity != "pod-then-node":
		return fmt.Errorf("--identity %.20q: use pod, node or pod-then-node", o.identity)
	}
	return nil
}

func (o options) checkRoles() error {
	for _, role := range o.roles {
		parts := strings.SplitN(role, ":", 6)
		if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || !strings.HasPrefix(parts[5], "role/") {
			return fmt.Errorf("--role-arn %.100q is no role's ARN, want arn:aws:iam::ACCOUNT:role/NAME", role)
		}
	}
	return nil
}

// buildVersion is the release's version, or what the Go toolchain stamped.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
