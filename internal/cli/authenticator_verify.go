package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/ekstoken/verify"
	"github.com/kubecred/kubecred/iammap"
)

type verifyOptions struct {
	mappings
	clusters  []string
	partition string
	regions   []string
	format    string
}

func (a *app) authenticatorVerifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify TOKEN|- --cluster-id ID...",
		Short: "Ask STS who signed an EKS token, and say who that is in the cluster",
		Long: `Make the checks of a token that a server makes, ask STS who signed it, and with
--mapping say who that is in the cluster. TOKEN is best given on stdin, as '-',
since arguments are seen by others on the machine; an ExecCredential, as exec
plugins print it, is taken too.

The exit status is 0 where the token is good (and, with --mapping, mapped), 1
where it is not, and 2 where STS could not be asked.`,
		Example: `  aws eks get-token --cluster-name prod | kubecred authenticator verify - --cluster-id prod
  kubecred-aws token --cluster-name prod | kubecred authenticator verify - --cluster-id prod --mapping aws-auth.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one token, or - to read it from stdin (%d are given)", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.format != "text" && o.format != "json" {
				return fmt.Errorf("-o %q: use one of text, json", o.format)
			}
			base, err := stsBase(a.Getenv)
			if err != nil {
				return err
			}
			v, err := verify.New(verify.Options{ClusterIDs: o.clusters, Partition: o.partition, Regions: o.regions, Base: base, Now: a.Now, Timeout: 10 * time.Second})
			if err != nil {
				return fmt.Errorf("%w (see --cluster-id, --partition and --region)", err)
			}
			var sources []*iammap.Source
			if len(o.sources) > 0 {
				if sources, err = o.read(cmd.Context(), a); err != nil {
					return err
				}
			}
			token, err := a.readToken(args[0])
			if err != nil {
				return err
			}
			id, err := v.Verify(cmd.Context(), token)
			if err != nil {
				return a.showRefusal(o.format, err)
			}
			return a.showIdentity(&o, id, sources)
		},
	}
	o.register(cmd)
	cmd.Flags().StringArrayVar(&o.clusters, "cluster-id", nil, "name or id of the cluster that the token must be made for (repeat for more)")
	cmd.Flags().StringVar(&o.partition, "partition", "aws", "AWS partition whose STS may be asked")
	cmd.Flags().StringArrayVar(&o.regions, "region", nil, "only region whose STS may be asked (repeat for more; all of the partition by default)")
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "format: text, json")
	return cmd
}

// stsBase is where requests to STS are sent instead of the token's host, as
// AWS's own settings say (AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL).
func stsBase(getenv func(string) string) (*url.URL, error) {
	if strings.EqualFold(getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") {
		return nil, nil
	}
	for _, name := range []string{"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"} {
		value := getenv(name)
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("%s: give an URL such as https://vpce-0123.sts.eu-west-1.vpce.amazonaws.com, without a path", name)
		}
		return u, nil
	}
	return nil, nil
}

// maxTokenInput bounds what verify reads from stdin.
const maxTokenInput = 64 << 10

// readToken takes a token from the argument or stdin, also out of an
// ExecCredential.
func (a *app) readToken(arg string) (string, error) {
	if arg == "-" {
		data, err := io.ReadAll(io.LimitReader(a.Stdin, maxTokenInput+1))
		if err != nil {
			return "", fmt.Errorf("reading stdin: %w", err)
		}
		if len(data) > maxTokenInput {
			return "", errors.New("stdin: that is more than a token")
		}
		arg = string(data)
	}
	arg = strings.TrimSpace(arg)
	if strings.HasPrefix(arg, "{") {
		var cred struct {
			Status struct {
				Token string `json:"token"`
			} `json:"status"`
		}
		if err := json.NewDecoder(bytes.NewReader([]byte(arg))).Decode(&cred); err != nil || cred.Status.Token == "" {
			return "", errors.New("the JSON is no ExecCredential with a token in status.token")
		}
		arg = cred.Status.Token
	}
	if arg == "" {
		return "", errors.New("no token given: pipe one into stdin, such as that of 'aws eks get-token'")
	}
	return arg, nil
}

// showRefusal says why a token is not good. What is not the token's fault is
// an error of the run.
func (a *app) showRefusal(format string, err error) error {
	e, ok := errors.AsType[*verify.Error](err)
	if !ok || e.Kind == verify.Unavailable || e.Kind == verify.Throttled {
		return fmt.Errorf("STS could not be asked: %w", err)
	}
	if format == "json" {
		if err := a.writeJSON(map[string]any{"verified": false, "kind": e.Kind, "endpoint": e.Endpoint, "code": e.Code, "message": e.Message}); err != nil {
			return err
		}
		return exitError(exitFindings)
	}
	fmt.Fprintf(a.Stdout, "%s: %s\n", e.Kind, printable(err.Error()))
	switch {
	case e.Code == "SignatureDoesNotMatch":
		line(a.Stdout, "mend", "make the token for this cluster: the name given to get-token and --cluster-id must be the same (kubecred explain KC433)")
	case e.Kind == verify.Expired:
		line(a.Stdout, "mend", "make a new token; it lives 15 minutes (kubecred explain KC434)")
	case e.Kind == verify.Malformed:
		if f, ok := errors.AsType[*ekstoken.FormatError](err); ok && f.Reason == ekstoken.BadHost {
			line(a.Stdout, "mend", "kubecred explain KC436")
			break
		}
		line(a.Stdout, "mend", "kubecred explain KC441")
	}
	return exitError(exitFindings)
}

func (a *app) writeJSON(v any) error {
	enc := json.NewEncoder(a.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// verified is the JSON of authenticator verify for a good token.
type verified struct {
	Verified     bool         `json:"verified"`
	ARN          string       `json:"arn"`
	CanonicalARN string       `json:"canonicalARN"`
	Account      string       `json:"account"`
	UserID       string       `json:"userID"`
	Session      string       `json:"session,omitempty"`
	AccessKeyID  string       `json:"accessKeyID"`
	Endpoint     string       `json:"endpoint"`
	ClusterID    string       `json:"clusterID"`
	ExpiresAt    time.Time    `json:"expiresAt"`
	Mapping      *explanation `json:"mapping,omitempty"`
}

func (a *app) showIdentity(o *verifyOptions, id verify.Identity, sources []*iammap.Source) error {
	_, canonical, err := iammap.Canonical(id.ARN)
	if err != nil {
		return err
	}
	userID, session, _ := strings.Cut(id.UserID, ":")
	out := verified{
		Verified: true, ARN: id.ARN, CanonicalARN: canonical, Account: id.Account, UserID: userID, Session: session,
		AccessKeyID: id.AccessKeyID, Endpoint: id.Endpoint, ClusterID: id.ClusterID, ExpiresAt: id.ExpiresAt.UTC(),
	}
	if sources != nil {
		x, err := iammap.NewTable(sources...).Explain(iammap.Question{ARN: id.ARN, Session: session, UserID: userID})
		if err != nil {
			return err
		}
		e := newExplanation(x)
		out.Mapping = &e
	}
	if o.format == "json" {
		if err := a.writeJSON(out); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.Stdout, "good until %s, says %s\n", out.ExpiresAt.Format("15:04:05 MST"), out.Endpoint)
		line(a.Stdout, "cluster", out.ClusterID)
		line(a.Stdout, "key", out.AccessKeyID)
		line(a.Stdout, "user id", id.UserID)
		if out.Mapping != nil {
			writeExplanation(a.Stdout, *out.Mapping)
		} else {
			line(a.Stdout, "arn", out.ARN)
		}
	}
	if out.Mapping != nil && !out.Mapping.Mapped {
		return exitError(exitFindings)
	}
	return nil
}
