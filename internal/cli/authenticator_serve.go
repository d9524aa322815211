package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/authenticator"
	"github.com/kubecred/kubecred/ekstoken"
	"github.com/kubecred/kubecred/ekstoken/verify"
	"github.com/kubecred/kubecred/internal/awsread"
	"github.com/kubecred/kubecred/internal/cluster"
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
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := refuseFlags(cmd); err != nil {
				return err
			}
			if err := o.settle(cmd, a); err != nil {
				return err
			}
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
	f.Float64Var(&o.limits.QPS, "sts-qps", 0, "bound on requests to STS a second; 0 for none")
	f.Float64Var(&o.limits.QPSPerPrincipal, "sts-qps-per-principal", 0, "the same for one access key")
	f.DurationVar(&o.grace, "grace", 20*time.Second, "how long reviews under way may take at the end")
	f.DurationVar(&o.linger, "linger", 0, "how long to go on after SIGTERM while /readyz says no")
	f.BoolVar(&o.reuse, "reuse-port", false, "let a second server listen on the same address, to replace this one without a gap (Linux)")
	f.StringVarP(&o.logFormat, "log-format", "l", "json", "format of the log: json, text")
	f.StringVar(&o.logLevel, "log-level", "info", "least level of the log: debug, info, warn, error")
	oldFlags(cmd, &o)
	return cmd
}

// oldFlags are those of aws-iam-authenticator that work under their old name.
func oldFlags(cmd *cobra.Command, o *serveOptions) {
	f := cmd.Flags()
	f.IntVar(&o.port, "port", 0, "port to listen on, where --address is a host alone")
	f.StringVarP(&o.logLevel, "log-verbosity", "v", "info", "old name of --log-level")
	f.BoolVar(&o.pregenerated, "kubeconfig-pregenerated", false, "do not write the webhook kubeconfig that the config file names")
	for _, name := range []string{"port", "log-verbosity", "kubeconfig-pregenerated"} {
		must(f.MarkHidden(name))
	}
	for name := range goneFlags {
		f.String(name, "", "")
		must(f.MarkHidden(name))
	}
}

// goneFlags are those that do not work, with what to do instead.
var goneFlags = map[string]string{
	"master":                      "put the address into a kubeconfig and name it with --kubeconfig",
	"feature-gates":               "drop it: sso matchers are always read, and so is crd://",
	"ec2-describeInstances-qps":   "drop it: instances are asked for in batches, which --sts-qps does not count",
	"ec2-describeInstances-burst": "drop it: instances are asked for in batches",
}

func refuseFlags(cmd *cobra.Command) error {
	for _, name := range slices.Sorted(maps.Keys(goneFlags)) {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s is not a flag of this server: %s", name, goneFlags[name])
		}
	}
	return nil
}

// settle joins flags, environment and config file, the first that says
// something first.
func (o *serveOptions) settle(cmd *cobra.Command, a *app) error {
	if o.config != "" {
		data, err := os.ReadFile(o.config)
		if err != nil {
			return err
		}
		if o.file, err = authenticator.ReadConfig(o.config, data); err != nil {
			return err
		}
		if o.file.Master != "" {
			return fmt.Errorf("%s: server.master: %s", o.config, goneFlags["master"])
		}
	}
	if len(o.clusters) == 0 {
		for _, id := range []string{a.Getenv("KUBERNETES_AWS_AUTHENTICATOR_CLUSTER_ID"), o.file.ClusterID} {
			if id != "" {
				o.clusters = []string{id}
				break
			}
		}
	}
	if len(o.clusters) == 0 {
		return errors.New("no cluster id: name the cluster that tokens are made for with --cluster-id, or clusterID in the config file")
	}
	o.partition = first(o.partition, o.file.Partition, "aws")
	o.kubeconfig = first(o.kubeconfig, o.file.Kubeconfig)
	if len(o.regions) > 0 {
		o.region = o.regions[0]
	}
	if err := o.settleAddress(cmd); err != nil {
		return err
	}
	if (o.cert == "") != (o.key == "") {
		return errors.New("--tls-cert and --tls-key belong together")
	}
	o.state = first(o.state, o.file.StateDir, "/var/aws-iam-authenticator")
	if !o.pregenerated && !o.file.KubeconfigPregenerated {
		o.generate = first(o.generate, o.file.GenerateKubeconfig)
	}
	if o.cacheSize == 0 {
		o.cacheSize = -1 // none, where the library's 0 stands for its default
	}
	if o.cacheTTL <= 0 || o.stsTimeout <= 0 || o.grace < 0 || o.linger < 0 {
		return errors.New("--cache-ttl and --sts-timeout must be more than nothing, --grace and --linger not less (--cache-size 0 switches the cache off)")
	}
	return o.settleMappings(cmd)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// settleAddress takes HOST:PORT, or as the authenticator has it a host in
// --address and a port in --port.
func (o *serveOptions) settleAddress(cmd *cobra.Command) error {
	if o.address == "" {
		if o.port != 0 {
			o.file.Port = o.port
		}
		o.address = o.file.ListenAddress()
	}
	if _, _, err := net.SplitHostPort(o.address); err == nil {
		if cmd.Flags().Changed("port") && o.port != 0 && !strings.HasSuffix(o.address, ":"+strconv.Itoa(o.port)) {
			return fmt.Errorf("--address %s and --port %d name two ports", o.address, o.port)
		}
		return nil
	}
	if net.ParseIP(o.address) == nil && strings.Contains(o.address, ":") {
		return fmt.Errorf("--address %q: give HOST:PORT such as 127.0.0.1:21362", o.address)
	}
	port := o.port
	if port == 0 {
		port = o.file.Port
	}
	if port == 0 {
		port = 21362
	}
	o.address = net.JoinHostPort(o.address, strconv.Itoa(port))
	return nil
}

// settleMappings turns back ends into sources before those of --mapping.
func (o *serveOptions) settleMappings(cmd *cobra.Command) error {
	modes, err := authenticator.Modes(o.backends)
	if err != nil {
		return fmt.Errorf("--backend-mode: %w", err)
	}
	if modes == nil {
		modes = o.file.BackendMode
	}
	if modes == nil && o.config != "" {
		modes = []string{"MountedFile"}
	}
	if o.config == "" && cmd.Flags().Changed("backend-mode") && slices.ContainsFunc(modes, func(m string) bool { return m == "MountedFile" || m == "DynamicFile" }) {
		return errors.New("--backend-mode MountedFile and DynamicFile need --config; without it name files with --mapping")
	}
	var sources []string
	for _, m := range modes {
		switch m {
		case "MountedFile":
			sources = append(sources, configSource)
		case "EKSConfigMap":
			sources = append(sources, "configmap://kube-system/aws-auth")
		case "CRD":
			sources = append(sources, "crd://")
		case "DynamicFile":
			if o.file.DynamicFilePath == "" {
				return errors.New("--backend-mode DynamicFile needs server.dynamicfilepath in the config file")
			}
			sources = append(sources, o.file.DynamicFilePath)
		}
	}
	if o.config != "" && !slices.Contains(sources, configSource) {
		sources = append([]string{settingsSource}, sources...)
	}
	o.sources = append(sources, o.sources...)
	if len(o.sources) == 0 {
		return errNoMapping
	}
	return nil
}

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
				return nil, err
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

func (o *serveOptions) logger(a *app) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ReplaceAll(o.logLevel, "warning", "warn"))); err != nil {
		return nil, fmt.Errorf("--log-level %q: use debug, info, warn or error", o.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.logFormat {
	case "json":
		return slog.New(slog.NewJSONHandler(a.Stderr, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(a.Stderr, options)), nil
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

// reachHost is the STS endpoint that readiness looks at.
func (o *serveOptions) reachHost(getenv func(string) string) string {
	for _, region := range append(slices.Clone(o.regions), getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")) {
		for _, known := range ekstoken.Regions(o.partition) {
			if e, err := ekstoken.EndpointFor(region, false, false); known == region && err == nil {
				return e.Host
			}
		}
	}
	if o.partition == "aws" {
		return ekstoken.GlobalEndpoint().Host
	}
	e, err := ekstoken.EndpointFor(ekstoken.Regions(o.partition)[0], false, false)
	if err != nil {
		return ""
	}
	return e.Host
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

func (a *app) serve(ctx context.Context, o *serveOptions) error {
	log, err := o.logger(a)
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
	reach := &authenticator.Reach{Host: o.reachHost(a.Getenv), Base: base, Transport: transport}
	srv := &authenticator.Server{
		Handler: handler, Mappings: current, Certificate: certs.Get, Reach: reach.Check, Metrics: registry, Log: log,
		Grace: o.grace, Linger: o.linger,
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
	log.Info("listening", "address", l.Addr().String(), "clusters", o.clusters, "partition", o.partition, "version", buildVersion())
	return srv.Serve(ctx, l)
}
