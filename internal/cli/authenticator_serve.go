package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/authenticator"
	"github.com/kubecred/kubecred/ekstoken/verify"
	"github.com/kubecred/kubecred/internal/release"
)

type serveOptions struct {
	mappings
	config                     string
	address                    string
	port                       int
	health                     string
	clusters                   []string
	partition                  string
	regions                    []string
	cert, key, state, generate string
	pregenerated, reuse        bool
	backends                   []string
	cacheTTL                   time.Duration
	cacheSize                  int
	stsTimeout                 time.Duration
	limits                     authenticator.Limits
	grace, linger              time.Duration
	maxConns                   int
	logFormat, logLevel        string
	file                       authenticator.FileConfig
}

func (a *app) authenticatorServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve --cluster-id ID... --mapping SOURCE...",
		Short: "Run the webhook that the API server asks who an EKS token is",
		Long: `Run the webhook that the API server asks who an EKS token is: it verifies the
token with STS and maps the IAM role or user behind it to a Kubernetes user and
groups. It takes the config file of aws-iam-authenticator's server.

It answers POST /authenticate over TLS, and there or with --health-address in
plain HTTP as well /healthz, /readyz and /metrics. Logs go to stderr, a line for
each decision. SIGTERM ends it after the reviews that are under way.`,
		Example: `  kubecred authenticator serve --cluster-id prod --mapping configmap://kube-system/aws-auth --tls-cert cert.pem --tls-key key.pem
  kubecred authenticator serve --config /etc/aws-iam-authenticator/config.yaml --state-dir /var/aws-iam-authenticator`,
		Args: noArguments("name mappings with --mapping, a config file with --config"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := refuseFlags(cmd); err != nil {
				return err
			}
			if err := o.settle(cmd, a); err != nil {
				return err
			}
			defer a.collectLate()()
			return a.serve(cmd.Context(), &o)
		},
	}
	o.register(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "", "config file of aws-iam-authenticator's server, with its settings and mappings")
	f.StringVar(&o.address, "address", "", "HOST:PORT to listen on (127.0.0.1:21362 by default)")
	f.StringVar(&o.health, "health-address", "", "HOST:PORT for /healthz, /readyz and /metrics in plain HTTP")
	f.StringArrayVarP(&o.clusters, "cluster-id", "i", nil, "name or id of the cluster that tokens are made for (repeat while the cluster is renamed)")
	f.StringVar(&o.partition, "partition", "", "AWS partition of the cluster (aws by default)")
	f.StringArrayVar(&o.regions, "region", nil, "only region whose STS may be asked (repeat for more; all of the partition by default)")
	f.StringVar(&o.cert, "tls-cert", "", "certificate in PEM, read again when it is renewed")
	f.StringVar(&o.key, "tls-key", "", "key of the certificate in PEM")
	f.StringVar(&o.state, "state-dir", "", "directory for a self-made certificate, where --tls-cert is not given (/var/aws-iam-authenticator by default)")
	f.StringVar(&o.generate, "generate-kubeconfig", "", "file to write the webhook kubeconfig for the API server to")
	f.StringSliceVar(&o.backends, "backend-mode", nil, "with --config: which of MountedFile, EKSConfigMap, CRD, DynamicFile to ask, in this order")
	f.DurationVar(&o.cacheTTL, "cache-ttl", 5*time.Minute, "how long STS is not asked again about a token that it knew; never beyond the token's life")
	f.IntVar(&o.cacheSize, "cache-size", 16384, "how many tokens are remembered; 0 for none")
	f.DurationVar(&o.stsTimeout, "sts-timeout", 5*time.Second, "bound on one request to STS")
	f.IntVar(&o.limits.InFlight, "sts-in-flight", 1024, "bound on requests to STS at one time")
	f.IntVar(&o.limits.InFlightPerPrincipal, "sts-in-flight-per-principal", 512, "the same for one access key")
	f.Float64Var(&o.limits.QPS, "sts-qps", 300, "bound on requests to STS a second, with bursts of twice as many; 0 for none")
	f.Float64Var(&o.limits.QPSPerPrincipal, "sts-qps-per-principal", 20, "the same for one access key; 0 for none")
	f.IntVar(&o.maxConns, "max-connections", 2048, "how many connections are kept; beyond it the one that was idle longest is closed")
	f.DurationVar(&o.grace, "grace", 20*time.Second, "how long reviews under way may take at the end")
	f.DurationVar(&o.linger, "linger", 0, "how long to go on after SIGTERM while /readyz says no")
	f.BoolVar(&o.reuse, "reuse-port", false, "let a second server listen on the same address, to replace this one without a gap (Linux)")
	f.StringVarP(&o.logFormat, "log-format", "l", "json", "format of the log: json, text")
	f.StringVar(&o.logLevel, "log-level", "info", "least level of the log: debug, info, warn, error")
	oldFlags(cmd, &o)
	return cmd
}

// collectLate has garbage collected where it makes up three quarters of the
// memory instead of half, as long as that is not much: with full caches and
// thousands of new tokens a second, collecting took a tenth of the processor
// time. Who sets GOGC or GOMEMLIMIT knows better. What it returns takes it back.
func (a *app) collectLate() func() {
	if a.Getenv("GOGC") != "" || a.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	percent, limit := debug.SetGCPercent(300), debug.SetMemoryLimit(320<<20)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

func (a *app) serve(ctx context.Context, o *serveOptions) error {
	lines := newLineWriter(a.Stderr)
	defer lines.Flush()
	log, err := o.logger(lines)
	if err != nil {
		return err
	}
	base, err := stsBase(a.Getenv)
	if err != nil {
		return err
	}
	transport := verify.NewTransport()
	verifier, err := verify.New(verify.Options{
		ClusterIDs: o.clusters, Partition: o.partition, Regions: o.regions, Base: base,
		Timeout: o.stsTimeout, Transport: transport, Now: a.Now,
	})
	if err != nil {
		return err
	}
	feeds, err := o.feeds(a)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	current := authenticator.NewMappings(feeds, log, registry)
	certs, err := o.certificates(log, a.Now())
	if err != nil {
		return err
	}
	ec2Calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "kubecred_authenticator", Name: "ec2_calls_total", Help: "Calls of ec2:DescribeInstances.",
	}, []string{"outcome"})
	registry.MustRegister(ec2Calls)
	handler, err := authenticator.New(authenticator.Options{
		Verifier: verifier, Mappings: current, CacheTTL: o.cacheTTL, CacheSize: o.cacheSize, Limits: o.limits,
		ScrubbedAccounts: o.file.ScrubbedAccounts, Log: log, Metrics: registry, Now: a.Now,
		Instances: authenticator.NewInstances(&instances{o: o, getenv: a.Getenv}, func(n int, err error) {
			outcome := "answered"
			if err != nil {
				outcome = "failed"
				log.Warn("EC2 could not be asked", "instances", n, "reason", err.Error())
			}
			ec2Calls.WithLabelValues(outcome).Inc()
		}),
	})
	if err != nil {
		return err
	}
	reach := &authenticator.Reach{Hosts: o.reachHosts(a.Getenv), Base: base, Transport: transport}
	srv := &authenticator.Server{
		Handler: handler, Mappings: current, Certificate: certs.Get, Reach: reach.Check, Metrics: registry, Log: log,
		Notes: func() []string { return append(reach.Notes(), handler.Notes()...) },
		Grace: o.grace, Linger: o.linger, MaxConns: o.maxConns,
	}
	return a.run(ctx, o, srv, certs, log)
}

// firstLoad is how long a server waits for its mappings before it listens.
// Without them it says 503, and the API server tries again.
const firstLoad = 3 * time.Second

// run listens and serves until ctx ends, with what works in the background.
func (a *app) run(ctx context.Context, o *serveOptions, srv *authenticator.Server, certs *authenticator.Certificates, log *slog.Logger) error {
	// Mappings go on until the last review is answered.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { srv.Mappings.Run(background) })
	wg.Go(func() { certs.Watch(background, 10*time.Second) })
	// What is at hand is there before the first review is.
	soon, cancel := context.WithTimeout(ctx, firstLoad)
	srv.Mappings.Wait(soon)
	cancel()
	l, err := authenticator.Listen(ctx, o.address, o.reuse)
	if err != nil {
		return err
	}
	defer l.Close()
	if o.health != "" {
		hl, err := authenticator.Listen(ctx, o.health, false)
		if err != nil {
			return fmt.Errorf("--health-address: %w", err)
		}
		health := &http.Server{Handler: srv.Health(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
		wg.Go(func() { _ = health.Serve(hl) })
		defer health.Close()
		log.Info("health", "address", hl.Addr().String())
	}
	log.Info("listening", "address", l.Addr().String(), "clusters", o.clusters, "partition", o.partition, "version", release.Version())
	return srv.Serve(ctx, l)
}
