package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubecred/kubecred/authenticator"
	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/internal/awsread"
	"github.com/kubecred/kubecred/internal/cluster"
)

// configSource and settingsSource stand for the config file among sources.
const (
	configSource   = "config:"
	settingsSource = "settings:"
)

// feeds makes a feed of each source. Files are read once here, so that a
// broken one keeps the server from starting instead of from knowing anybody.
func (o *serveOptions) feeds(a *app) ([]authenticator.Feed, error) {
	var out []authenticator.Feed
	for _, name := range o.sources {
		scheme, rest, remote := strings.Cut(name, "://")
		switch {
		case name == "-":
			return nil, errors.New("--mapping -: a server can not watch stdin; name a file")
		case !remote:
			f := &authenticator.File{Path: name}
			if name == configSource || name == settingsSource {
				f = &authenticator.File{Path: o.config, Config: true, SettingsOnly: name == settingsSource}
			}
			if _, err := f.Read(); err != nil {
				return nil, unread("--mapping", "name a file that can be read, configmap://NAMESPACE/NAME, crd:// or eks://CLUSTER", err)
			}
			out = append(out, f)
		case scheme == "eks":
			if rest == "" {
				return nil, fmt.Errorf("%s: name the cluster, eks://CLUSTER", name)
			}
			out = append(out, &authenticator.Polled{Title: name, Every: time.Minute, Fetch: func(ctx context.Context) ([]byte, error) {
				return o.fetch(ctx, a, name)
			}})
		default:
			objects, err := clusterObjects(name, scheme, rest)
			if err != nil {
				return nil, err
			}
			client, err := cluster.NewObjecter(o.clusterOptions(a, cluster.NoTimeout))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, &authenticator.Watched{Title: name, Watch: func(ctx context.Context, changed func([]byte, error)) {
				client.Watch(ctx, objects, changed)
			}})
		}
	}
	return out, nil
}

// unread says of a file that could not be read which flag named it and what to
// do. Other errors name the file and what is wrong in it already.
func unread(flag, fix string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s %s: %w: %s", flag, e.Path, e.Err, fix)
	}
	return err
}

func (o *serveOptions) logger(out io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ReplaceAll(o.logLevel, "warning", "warn"))); err != nil {
		return nil, fmt.Errorf("--log-level %q: use debug, info, warn or error", o.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.logFormat {
	case "json":
		return slog.New(slog.NewJSONHandler(out, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(out, options)), nil
	}
	return nil, fmt.Errorf("--log-format %q: use json or text", o.logFormat)
}

// certificates loads those given, or makes one.
func (o *serveOptions) certificates(log *slog.Logger, now time.Time) (*authenticator.Certificates, error) {
	cert, key := o.cert, o.key
	if cert == "" {
		cert, key = filepath.Join(o.state, "cert.pem"), filepath.Join(o.state, "key.pem")
		made, err := authenticator.MakeCertificate(cert, key, o.hosts(), now)
		if err != nil {
			return nil, fmt.Errorf("making a certificate: %w (or give --tls-cert and --tls-key)", err)
		}
		if made {
			log.Info("certificate made", "file", cert)
		}
	}
	certs, err := authenticator.LoadCertificates(cert, key, log)
	if err != nil {
		return nil, err
	}
	if o.generate != "" {
		ca, err := os.ReadFile(cert)
		if err != nil {
			return nil, err
		}
		if err := authenticator.WriteFile(o.generate, authenticator.WebhookKubeconfig(o.hostPort(), ca), 0o644); err != nil {
			return nil, fmt.Errorf("--generate-kubeconfig: %w", err)
		}
		log.Info("webhook kubeconfig written", "file", o.generate)
	}
	return certs, nil
}

// hosts are the names that a self-made certificate is for.
func (o *serveOptions) hosts() []string {
	host, _, _ := net.SplitHostPort(o.address)
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, h := range []string{host, o.file.Hostname} {
		if ip := net.ParseIP(h); h != "" && !slices.Contains(hosts, h) && (ip == nil || !ip.IsUnspecified()) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// hostPort is how the API server on the same machine reaches the server.
func (o *serveOptions) hostPort() string {
	host, port, _ := net.SplitHostPort(o.address)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(first(o.file.Hostname, host), port)
}

// reachHosts are the STS endpoints that readiness looks at: of the regions that
// are configured, else one.
func (o *serveOptions) reachHosts(getenv func(string) string) []string {
	regions := o.regions
	if len(regions) == 0 {
		known := ekstoken.Regions(o.partition)
		here := first(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"))
		switch {
		case slices.Contains(known, here):
			regions = []string{here}
		case o.partition == "aws":
			return []string{ekstoken.GlobalEndpoint().Host}
		default:
			regions = known[:1]
		}
	}
	var hosts []string
	for _, region := range regions {
		if e, err := ekstoken.EndpointFor(region, false, false); err == nil && !slices.Contains(hosts, e.Host) {
			hosts = append(hosts, e.Host)
		}
	}
	return hosts
}

// instances asks EC2, with AWS settings that are read at the first question:
// most servers have none.
type instances struct {
	o      *serveOptions
	getenv func(string) string

	mu  sync.Mutex
	ec2 *awsread.EC2
}

func (i *instances) PrivateDNSNames(ctx context.Context, ids []string) (map[string]string, error) {
	i.mu.Lock()
	if i.ec2 == nil {
		c, err := awsread.Load(ctx, i.o.region)
		if err != nil {
			i.mu.Unlock()
			return nil, err
		}
		i.ec2 = awsread.NewEC2(c, i.o.file.EC2DescribeRoleARN, i.o.file.SourceARN, i.getenv)
	}
	ec2 := i.ec2
	i.mu.Unlock()
	return ec2.PrivateDNSNames(ctx, ids)
}
