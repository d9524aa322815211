package explain

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
)

// lineShape reads facts out of one line. literal is a text in lower case that
// the line must hold, so that most lines cost nothing.
type lineShape struct {
	literal string
	re      *regexp.Regexp
	take    func(e *evidence, m []string, w finding.Where)
}

func fact1(key string) func(*evidence, []string, finding.Where) {
	return func(e *evidence, m []string, w finding.Where) { e.add(key, Redacted(m[1]), w) }
}

func line(literal, expr string, take func(*evidence, []string, finding.Where)) lineShape {
	return lineShape{literal, regexp.MustCompile(expr), take}
}

// lineShapes know what stands in a single line: what structures hold too, for
// fragments that do not parse, and what logs, shells and environments hold.
var lineShapes = sync.OnceValue(func() []lineShape {
	return []lineShape{
		line("client.authentication.k8s.io/", `(?i)api_?version["']?\s*[:=]\s*["']?(client\.authentication\.k8s\.io/v\d\w*)`, fact1("exec.apiVersion")),
		line("kubelet.config.k8s.io/", `apiVersion["']?\s*:\s*["']?(kubelet\.config\.k8s\.io/v\d\w*)`, fact1("imageconfig.apiVersion")),
		line("credentialprovider.kubelet.k8s.io/", `apiVersion["']?\s*:\s*["']?(credentialprovider\.kubelet\.k8s\.io/v\d\w*)`, fact1("provider.apiVersion")),
		line("matchimages", `(matchImages)`, fact1("imageconfig.line")),
		line("command", `(?i)^\s*["']?command["']?\s*[:=]\s*["']?([\w./\\:~-]+)`, func(e *evidence, m []string, w finding.Where) {
			switch p := baseName(m[1]); p {
			case "aws", "aws2", "aws-iam-authenticator", "heptio-authenticator-aws", "gke-gcloud-auth-plugin", "gcloud", "kubelogin", "kubectl-oidc_login", "doctl", "az", "oci", "ibmcloud", "tsh", "kubectl", "rancher", "yc", "linode-cli", "civo", "exo", "tanzu", "pinniped":
				e.add("exec.command", m[1], w)
				e.add("exec.program", p, w)
			}
		}),
		line("interactivemode", `interactiveMode["']?\s*:\s*["']?(\w+)`, fact1("exec.interactiveMode")),
		line("rolearn", `["']?(roleARN|roleArn|rolearn|RoleArn|role_arn)["']?\s*[:=]`, fact1("line.rolekey")),
		line("tokenfile", `\btokenFile["']?\s*:\s*["']?([^\s"']+)`, fact1("user.tokenFile")),
		line("auth-provider", `(auth-provider)\s*:`, fact1("line.authProvider")),

		line("output", `^\s*(?:default_)?output\s*=\s*(\w[\w-]*)\s*$`, fact1("awsconfig.output")),
		line("region", `^\s*region\s*=\s*([\w-]+)\s*$`, fact1("awsconfig.region")),
		line("sso_", `^\s*(sso_session|sso_start_url|sso_account_id)\s*=`, fact1("awsconfig.sso")),

		line("seconds after warning threshold", `(subject: system:serviceaccount:[\w.-]+:[\w.-]+, seconds after warning threshold: ?\d+)`, func(e *evidence, m []string, w finding.Where) {
			e.stale(m[1], w)
			e.piece(Piece{Kind: "stale token mark", Road: finding.Pod, Where: w, Summary: e.first("stale")})
		}),
		line("invalid bearer token", `(invalid bearer token)`, fact1("apiserver.invalidBearer")),

		line("executable ", `executable (\S+?) (?:failed with exit code|not found)`, fact1("plugin.failed")),
		line("executable file not found", `exec: \\*"([^"\\]+)\\*": executable file not found`, fact1("plugin.failed")),
		line("fork/exec", `fork/exec (\S+?):`, fact1("plugin.failed")),
		line("command failed", `Command failed: (\S+)`, fact1("plugin.failed")),
		line("tsh ", `(?:^|[$>]\s*)(tsh) (?:status|login|kube)\b`, fact1("plugin.failed")),
		line("kubelogin ", `(?:^|[$>]\s*)(kubelogin) (?:convert-kubeconfig|get-token)\b`, fact1("plugin.failed")),
		line("spawn", `(?i)spawn(?:Sync)? (\S+?)(?: ENOENT|"|$)`, fact1("plugin.failed")),
		line("doctl ", `(?:^|[$>]\s*|run ')(doctl) (?:auth|kubernetes)\b`, fact1("plugin.failed")),

		line("aws-cli/", `aws-cli/(\d[\d.]*)`, fact1("awscli.version")),
		line("python/", `aws-cli/\S+ Python/(\d[\d.]*)`, fact1("awscli.python")),
		line("eksctl", `eksctl(?: version)?[: ]+v?(\d+\.\d+\.\d+)`, fact1("eksctl.version")),
		line("client version", `(?i)client version:?\s*(?:version\.Info\{.*?GitVersion:)?"?v?(\d+\.\d+[\w.+-]*)`, fact1("kubectl.version")),
		line("server version", `(?i)server version:?\s*(?:version\.Info\{.*?GitVersion:)?"?v?(\d+\.\d+[\w.+-]*)`, fact1("server.version")),
		line("kubectl", `(?i)kubectl(?: client)?(?: version)?[:= ]+v?(1\.\d{1,2}(?:\.\d+)?)`, fact1("kubectl.version")),
		line("kubelet", `(?i)kubelet(?: ?version)?["']?[:= ]+["']?v?(1\.\d{1,2}(?:\.\d+)?)`, fact1("kubelet.version")),
		line("kubernetes", `(?i)kubernetes(?: ?version)?[:= ]+["']?v?(1\.\d{1,2}(?:\.\d+)?)`, fact1("kubernetes.version")),
		line("kubernetes-version", `(?i)kubernetes-version[:= ]+["']?v?(1\.\d{1,2}(?:\.\d+)?)`, fact1("kubernetes.version")),
		line("eks", `(?i)\beks(?: version)?[: ]+v?(1\.\d{1,2}(?:\.\d+)?)`, func(e *evidence, m []string, w finding.Where) {
			e.add("kubernetes.version", m[1], w)
			e.add("profile", "eks", w)
		}),
		line("aks", `(?i)\baks(?: version)?[: ]+v?(1\.\d{1,2}(?:\.\d+)?)`, func(e *evidence, m []string, w finding.Where) {
			e.add("kubernetes.version", m[1], w)
			e.add("profile", "aks", w)
		}),
		line("gke", `(?i)\bgke(?: version)?[: ]+v?(1\.\d{1,2}(?:\.\d+)?)`, func(e *evidence, m []string, w finding.Where) {
			e.add("kubernetes.version", m[1], w)
			e.add("profile", "gke", w)
		}),
		line(".eks.amazonaws.com", `(\.eks\.amazonaws\.com)`, func(e *evidence, _ []string, w finding.Where) { e.add("platform", "eks", w) }),
		line(".azmk8s.io", `(\.azmk8s\.io)`, func(e *evidence, _ []string, w finding.Where) { e.add("platform", "aks", w) }),
		line("gke_", `\b(gke_[\w-]+_[\w-]+_[\w-]+)`, func(e *evidence, _ []string, w finding.Where) { e.add("platform", "gke", w) }),

		line("arn:aws", `(arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:[0-9Xx*]*:[A-Za-z0-9+=,.@_/:{}*-]+)`, func(e *evidence, m []string, w finding.Where) { e.arn(m[1], w) }),
		line("image", `(?i)\bimage["']?\s*[:=]\s*\\?["']?([a-z0-9][\w.-]*(?::\d+)?/[\w./@:-]+)`, func(e *evidence, m []string, w finding.Where) { e.image(m[1], w) }),
		line("image", `(?i)(?:pull(?:ing)? image|back-off pulling image|pull and unpack image|resolve reference|for) \\*"([a-z0-9][\w.-]*(?::\d+)?/[\w./@:-]+)`, func(e *evidence, m []string, w finding.Where) { e.image(m[1], w) }),
		line("image pull failed for", `image pull failed for ([a-z0-9][\w.-]*(?::\d+)?/[\w./@:-]+)`, func(e *evidence, m []string, w finding.Where) { e.image(m[1], w) }),
		line(".dkr.ecr", `\b(\d{12}\.dkr[.-]ecr(?:-fips)?\.[\w-]+\.[\w.]+/[\w./@:-]+)`, func(e *evidence, m []string, w finding.Where) { e.image(m[1], w) }),
		line("public.ecr.aws", `\b(public\.ecr\.aws/[\w./@:-]+)`, func(e *evidence, m []string, w finding.Where) { e.image(m[1], w) }),
		line(".azurecr.", `\b([\w-]+\.azurecr\.\w+/[\w./@:-]+)`, func(e *evidence, m []string, w finding.Where) { e.image(m[1], w) }),
		line(".pkg.dev", `\b([\w-]+\.pkg\.dev/[\w./@:-]+)`, func(e *evidence, m []string, w finding.Where) { e.image(m[1], w) }),
		line("gcr.io", `\b((?:[a-z]+\.)?gcr\.io/[\w./@:-]+)`, func(e *evidence, m []string, w finding.Where) { e.image(m[1], w) }),

		line("--", `(?:^|\s)(--[a-z][a-z0-9-]+)(?:=|\s+)"?([^\s"]+)`, nil), // see flags
		line("=", `^\s*(?:env:\s+|environment:\s+)?(?:export\s+|set\s+|\$env:|ENV\s+|-\s+)?([A-Z][A-Z0-9_]{3,60})\s*=\s*(.*)$`, func(e *evidence, m []string, w finding.Where) {
			e.env(m[1], strings.Trim(m[2], `"' `), w)
		}),
		line("expectedissuer", `(?i)expected_?issuer["']?\s*[:=]\s*["']?(\S+?)["']?$`, fact1("expected.issuer")),
		line("unknown field", `unknown field \\*"([\w.\[\]-]+)`, fact1("decode.unknownField")),
		line("profile", `(?i)^profile["']?\s*[:=]\s*["']?(eks|gke|aks|upstream)\b`, fact1("profile")),
		line("capabilit", `(?i)(capabilities\s*=\s*\[[^\]]*\])`, fact1("hosts.capabilities")),
		line("[host.", `^\s*\[host\.["']?(https?://[^"'\]]+)`, func(e *evidence, m []string, w finding.Where) {
			e.add("hosts.mirror", m[1], w)
			e.piece(Piece{Kind: "containerd hosts.toml", Road: finding.Node, Where: w, Summary: m[1]})
		}),
		line("registry.mirrors", `registry\.mirrors\.?["']?([^"'\]]*)`, func(e *evidence, m []string, w finding.Where) {
			e.add("containerd.mirrors", cmpOr(m[1], "true"), w)
			e.piece(Piece{Kind: "containerd configuration", Road: finding.Node, Where: w, Summary: m[1]})
		}),
		line("registry.configs", `(registry\.configs)`, func(e *evidence, m []string, w finding.Where) {
			e.add("containerd.configs", "true", w)
			e.piece(Piece{Kind: "containerd configuration", Road: finding.Node, Where: w})
		}),
		// What a person says of when it fails and what helps tells causes apart that
		// end in the same error.
		line("restart", `(?i)\b(restart\w*\b.{0,80}\b(?:fix(?:es|ed)?|help(?:s|ed)?|resolv\w+|solv\w+|recover\w*|works?\b.{0,20}\bagain))\b`, fact1("says.restartHelps")),
		line("recreat", `(?i)\b(recreat\w*\b.{0,80}\b(?:fix(?:es|ed)?|help(?:s|ed)?|resolv\w+|solv\w+|recover\w*))\b`, fact1("says.restartHelps")),
		line("restart", `(?i)\b((?:fix(?:es|ed)?|help(?:s|ed)?|resolv\w+|solv\w+|recover\w*|until|only way\b.{0,40}|have to|had to|need(?:ed)? to|works?)\b.{0,40}\brestart\w*)`, fact1("says.restartHelps")),
		line("after ", `(?i)\bafter (?:about |around |exactly |some |every |approximately |roughly |~ ?)?((?:\d+|an?|one|few)[ +-]*(?:h(?:ou)?rs?|d(?:ay)?s?|weeks?|months?|years?))\b`, fact1("says.after")),
		line("later", `(?i)\b((?:\d+|an?|one|few)[ +-]*(?:h(?:ou)?rs?|d(?:ay)?s?|weeks?|months?|years?) later)\b`, fact1("says.after")),
		line(" after ", `(?i)\b((?:\d+|an?|one|few)[ +-]*(?:hours?|days?|weeks?|months?|years?)) after (?:the |its |a |pod |each )?(?:start|restart|deploy|boot|creation|launch)`, fact1("says.after")),
		line("config_path", `(config_path)\s*=`, fact1("containerd.configPath")),
	}
})

// logShape says which program wrote a line.
type logShape struct {
	literal, kind string
	road          finding.Road
	re            *regexp.Regexp
}

var logShapes = sync.OnceValue(func() []logShape {
	return []logShape{
		{"level=", "aws-iam-authenticator log line", finding.Server, regexp.MustCompile(`level=\w+ msg=.*(?:path=/authenticate|access denied|access granted|aws-iam-authenticator|mapping|\bARN\b)`)},
		{"authentication.go:", "API server log line", "", regexp.MustCompile(`authentication\.go:\d+\]`)},
		{"webhook.go:", "API server log line", finding.Server, regexp.MustCompile(`webhook\.go:\d+\]`)},
		{"kubelet[", "kubelet log line", finding.Node, regexp.MustCompile(`kubelet\[\d+\]:`)},
		{"kuberuntime_", "kubelet log line", finding.Node, regexp.MustCompile(`kuberuntime_\w+\.go:\d+\]`)},
		{"pod_workers.go:", "kubelet log line", finding.Node, regexp.MustCompile(`pod_workers\.go:\d+\]`)},
		{"remote_image.go:", "kubelet log line", finding.Node, regexp.MustCompile(`remote_image\.go:\d+\]`)},
		{"plugin.go:", "kubelet log line", finding.Node, regexp.MustCompile(`plugin\.go:\d+\]`)},
		{"containerd", "containerd log line", finding.Node, regexp.MustCompile(`containerd\[\d+\]:|level=\w+ msg=\\?"PullImage`)},
		{"memcache.go:", "kubectl error", finding.Client, regexp.MustCompile(`memcache\.go:\d+\]`)},
		{"unable to connect to the server", "kubectl error", finding.Client, regexp.MustCompile(`(?i)unable to connect to the server`)},
		{"you must be logged in to the server", "kubectl error", finding.Client, regexp.MustCompile(`(?i)you must be logged in to the server`)},
		{"getting credentials", "client library error", finding.Client, regexp.MustCompile(`(?i)getting credentials`)},
		{"exec plugin", "client library error", finding.Client, regexp.MustCompile(`(?i)exec plugin`)},
		{"imagepullbackoff", "pod event", finding.Node, regexp.MustCompile(`(?i)\b(?:Err)?ImagePull(?:BackOff)?\b`)},
		{"failed to pull image", "pod event", finding.Node, regexp.MustCompile(`(?i)failed to pull image`)},
		{"an error occurred (", "AWS error", "", regexp.MustCompile(`An error occurred \(\w+\)`)},
		{"operation error", "AWS error", "", regexp.MustCompile(`operation error [A-Za-z ]+:`)},
		{"aadsts", "Microsoft Entra error", "", regexp.MustCompile(`AADSTS\d+`)},
		{"traceback (most recent call last)", "Python traceback", "", regexp.MustCompile(`Traceback \(most recent call last\)`)},
		{"error: ", "error message", "", regexp.MustCompile(`(?i)^(?:.*\s)?error: \S`)},
		{"unauthorized", "error message", "", regexp.MustCompile(`(?i)\bUnauthorized\b`)},
		{"forbidden", "error message", "", regexp.MustCompile(`(?i)\bforbidden\b`)},
	}
})

var flagShape = lazyexp.New(`(?:^|[\s"'\[,])--?([a-z][a-z0-9-]+)(?:=|["']?,?\s+["']?)("[^"]*"|[^\s"',\]]+)`)

// maxLines bounds how many lines are looked at one by one.
const maxLines = 60000

// lines reads the facts of every line.
func (e *evidence) lines(s *scan) {
	lineShapes, logShapes := lineShapes(), logShapes()
	for i, l := range s.plain {
		if i >= maxLines {
			break
		}
		if len(l) == 0 {
			continue
		}
		low := s.lower[s.starts[i] : s.starts[i]+len(l)]
		for k := range lineShapes {
			sh := &lineShapes[k]
			if sh.take == nil || !strings.Contains(low, sh.literal) {
				continue
			}
			for _, m := range sh.re.FindAllStringSubmatchIndex(l, 8) {
				groups := make([]string, len(m)/2)
				for g := range groups {
					if m[2*g] >= 0 {
						groups[g] = l[m[2*g]:m[2*g+1]]
					}
				}
				at := m[0]
				if len(m) > 3 && m[2] >= 0 {
					at = m[2]
				}
				sh.take(e, groups, s.t.where(i, at))
			}
		}
		for k := range logShapes {
			g := &logShapes[k]
			if strings.Contains(low, g.literal) && g.re.MatchString(l) && !(g.kind == "error message" && len(e.pieces) > 0 && e.onLine(s.t.Name, s.t.Number(i))) {
				e.piece(Piece{Kind: g.kind, Road: g.road, Where: s.t.where(i, 0), Summary: ""})
				e.add("log", g.kind, s.t.where(i, 0))
			}
		}
		if strings.Contains(low, "--") {
			e.flags(s, i, l)
		}
		if strings.Contains(low, "eyj") || strings.Contains(low, "k8s-aws-v1.") {
			e.tokens(s, s.t.Lines[i], s.t.where(i, 0))
		}
		e.times(l)
	}
	e.literal(s)
}

func (e *evidence) onLine(file string, n int) bool {
	for _, p := range e.pieces {
		if p.Where.File == file && p.Where.Line == n {
			return true
		}
	}
	return false
}

// flags reads the flags of a command line.
func (e *evidence) flags(s *scan, i int, l string) {
	program := ""
	for _, p := range []string{"kube-apiserver", "kubelet", "aws-iam-authenticator", "aws eks", "eksctl", "kubelogin", "gcloud", "kubectl", "helm", "kube-controller-manager", "docker login", "az aks", "az acr", "k3s", "rke2"} {
		if strings.Contains(l, p) {
			program = p
			break
		}
	}
	any := false
	for _, m := range flagShape().FindAllStringSubmatchIndex(l, 40) {
		name, value := l[m[2]:m[3]], strings.Trim(l[m[4]:m[5]], `"'`)
		if strings.HasPrefix(value, "--") {
			value = "true"
		}
		if secretFlag().MatchString(name) {
			value = "set"
		}
		any = true
		e.add("flag."+name, Redacted(value), s.t.where(i, m[2]))
	}
	if any && program != "" && !e.onLine(s.t.Name, s.t.Number(i)) {
		e.piece(Piece{Kind: "command line", Where: s.t.where(i, 0), Summary: program})
	}
	if any && program != "" {
		e.add("command", program, s.t.where(i, 0))
	}
}

// secretFlag are flags whose value is a secret.
var secretFlag = lazyexp.New(`(?i)(?:password|secret|token|api-key)$`)

// secretEnv are variables whose value is a secret.
var secretEnv = lazyexp.New(`(?i)secret|password|token$|_key$|credential`)

// env notes a variable of an environment.
func (e *evidence) env(name, value string, w finding.Where) {
	if name == "" {
		return
	}
	if secretEnv().MatchString(name) && !strings.HasSuffix(name, "_FILE") && !strings.HasSuffix(name, "_URI") {
		value = "set"
	}
	e.add("env."+name, cmpOr(Redacted(value), "(empty)"), w)
	if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "KUBE") || strings.HasPrefix(name, "AZURE_") || strings.HasPrefix(name, "AAD_") || strings.HasPrefix(name, "CLOUDSDK_") || strings.HasPrefix(name, "GOOGLE_") {
		if !e.onLine(w.File, w.Line) {
			e.piece(Piece{Kind: "environment", Where: w, Summary: name})
		}
	}
}

var arnShape = lazyexp.New(`^arn:(aws[a-z-]*):([a-z0-9-]*):([a-z0-9-]*):([0-9Xx*]*):(.+)$`)

// arn notes an ARN and what kind it is.
func (e *evidence) arn(s string, w finding.Where) {
	s = strings.TrimRight(s, ".,;:)")
	m := arnShape().FindStringSubmatch(s)
	if m == nil {
		return
	}
	service, resource := m[2], m[5]
	kind := service
	switch {
	case service == "iam" && strings.HasPrefix(resource, "role/"):
		kind = "role"
		if strings.Count(resource, "/") > 1 {
			e.add("arn.path", s, w)
		}
		if strings.Contains(resource, "AWSReservedSSO_") {
			e.add("arn.sso", s, w)
		}
	case service == "iam" && strings.HasPrefix(resource, "oidc-provider/"):
		kind = "oidc-provider"
		e.add("oidcProvider", strings.TrimPrefix(resource, "oidc-provider/"), w)
	case service == "iam" || service == "sts":
		kind, _, _ = strings.Cut(resource, "/")
	}
	e.add("arn", s, w)
	e.add("arn."+kind, s, w)
	e.add("arn.partition", m[1], w)
	if service == "iam" || service == "sts" {
		if !e.onLine(w.File, w.Line) {
			e.piece(Piece{Kind: "IAM " + kind + " ARN", Road: "", Where: w, Summary: s})
		}
	}
}

// image notes an image reference.
func (e *evidence) image(s string, w finding.Where) {
	s = strings.TrimRight(s, ".,:;\\")
	host, _, ok := strings.Cut(s, "/")
	if !ok {
		host = "docker.io"
	} else if !strings.ContainsAny(host, ".:") && host != "localhost" {
		host = "docker.io"
	}
	e.add("image", s, w)
	e.add("image.host", host, w)
	switch {
	case strings.Contains(host, ".dkr.ecr") || strings.Contains(host, ".dkr-ecr"):
		e.add("image.registry", "ecr", w)
	case host == "public.ecr.aws" || host == "ecr-public.aws.com":
		e.add("image.registry", "ecr-public", w)
	case strings.Contains(host, "azurecr."):
		e.add("image.registry", "acr", w)
	case strings.HasSuffix(host, "gcr.io") || strings.HasSuffix(host, "pkg.dev"):
		e.add("image.registry", "gcp", w)
	case host == "docker.io":
		e.add("image.registry", "docker", w)
	default:
		e.add("image.registry", "other", w)
	}
	if !e.onLine(w.File, w.Line) {
		e.piece(Piece{Kind: "image", Road: finding.Node, Where: w, Summary: s})
	}
}

var (
	rfcTime  = lazyexp.New(`\b(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))`)
	imageRef = lazyexp.New(`^[a-z0-9][\w.-]*(?::\d+)?(?:/[a-z0-9][\w.-]*)+(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`)
	bareVers = lazyexp.New(`^v?(1\.\d{1,2}(?:\.\d+)?)(?:[+-][\w.+-]+)?$`)
	logTime  = lazyexp.New(`^\W{0,2}(20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?|time="?20)`)
)

// times notes the moments of log lines.
func (e *evidence) times(l string) {
	if !strings.Contains(l, "20") || !logTime().MatchString(l) && !strings.Contains(l, `time="20`) {
		return
	}
	for _, m := range rfcTime().FindAllString(l, 2) {
		if t, err := time.Parse(time.RFC3339Nano, m); err == nil {
			e.moment(t)
		}
	}
}

// maxWords bounds the lines among which a word that stands alone means
// something.
const maxWords = 400

// literal looks at lines that are a single word: an image, a version, a
// profile, an issuer, a time.
func (e *evidence) literal(s *scan) {
	if len(s.t.Lines) > maxWords || s.t.Sampled {
		return
	}
	alone := len(s.t.Lines) == 1 || strings.TrimSpace(strings.Join(s.t.Lines[1:], "")) == ""
	for i, l := range s.t.Lines {
		word := strings.Trim(strings.TrimSpace(l), `"',;`)
		if word != "" && !strings.ContainsAny(word, " \t{}<>()") {
			e.word(word, s.t.where(i, 0), alone)
		}
	}
}

func (e *evidence) word(word string, w finding.Where, alone bool) {
	switch {
	case bareVers().MatchString(word):
		v := bareVers().FindStringSubmatch(word)[1]
		e.add("kubernetes.version", v, w)
		e.piece(Piece{Kind: "version", Where: w, Summary: v})
	case word == "eks" || word == "gke" || word == "aks" || alone && word == "upstream":
		e.add("profile", word, w)
		e.piece(Piece{Kind: "profile", Where: w, Summary: word})
	case strings.HasPrefix(word, "https://"):
		e.add("expected.issuer", word, w)
		e.piece(Piece{Kind: "address", Where: w, Summary: Redacted(word)})
	case imageRef().MatchString(word) && (strings.ContainsAny(word[:strings.IndexByte(word, '/')], ".:") || alone && strings.Contains(word, ":")):
		e.image(word, w)
	default:
		if t, err := time.Parse(time.RFC3339, word); err == nil {
			e.moment(t)
			e.piece(Piece{Kind: "time", Where: w, Summary: word})
		}
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// missing says what to add where the inputs do not decide, and what to ask.
func missing(e *evidence, causes []Cause) (add []string, ask []Question) {
	if e.facts["imageconfig"] != nil && e.facts["image"] == nil {
		add = append(add, "the image that the pod pulls")
		ask = append(ask, Question{"Which image does the pod pull?", "image: "})
	}
	if e.facts["awsauth"] != nil && e.facts["arn.assumed-role"] == nil && e.facts["caller.arn"] == nil {
		add = append(add, "who calls: the output of 'aws sts get-caller-identity'")
		ask = append(ask, Question{"Which ARN calls ('aws sts get-caller-identity')?", "arn: "})
	}
	if len(causes) > 0 && causes[0].Sure {
		return add, ask
	}
	if e.facts["log"] != nil && e.facts["kubeconfig"] == nil && e.facts["exec.command"] == nil && e.has("kubectl error") {
		add = append(add, "the user entry of the kubeconfig ('kubectl config view --minify')")
	}
	if e.has("pod event") && e.facts["imageconfig"] == nil {
		add = append(add, "the kubelet's log around the pull, and the file of --image-credential-provider-config")
	}
	if e.facts["log"] == nil {
		add = append(add, "the error message, word for word")
	}
	if e.has("kubectl error") && e.facts["awsauth"] == nil && e.first("platform") == "eks" {
		add = append(add, "the aws-auth ConfigMap or the access entries, and the caller's ARN")
	}
	return add, ask
}
