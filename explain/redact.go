package explain

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// secret is a shape of text that must never be repeated. Where it has a group
// named keep, that part stays.
var secretShapes = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`k8s-aws-v1\.[A-Za-z0-9_-]{8,}={0,2}`),
		regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?`),
		regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`),
		regexp.MustCompile(`(?i)(?P<keep>X-Amz-(?:Signature|Security-Token|Credential)(?:=|%3D|["']?\s*:\s*["']?))[^&\s"'\\]+`),
		regexp.MustCompile(`(?i)(?P<keep>\b(?:aws_)?secret_?access_?key["']?\s*[:=]\s*["']?)[^\s"',}]+`),
		regexp.MustCompile(`(?i)(?P<keep>\b(?:aws_)?session_?token["']?\s*[:=]\s*["']?)[^\s"',}]+`),
		regexp.MustCompile(`\b(?:AKIA|ASIA|AIDA|AROA|ABIA|ACCA)[A-Z0-9]{12,20}\b`),
		regexp.MustCompile(`(?i)(?P<keep>\bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|negotiate)\s+)[^\s"',}]+`),
		regexp.MustCompile(`(?i)(?P<keep>\bbearer\s+)[A-Za-z0-9._~+/-]{12,}=*`),
		// A value of a key whose name says that it is a secret. A name such as
		// tokenFile or token-ttl is none.
		regexp.MustCompile(`(?i)(?P<keep>(?:^|[\s"'{,;&?(-])(?:[\w-]*[._-])?(?:password|passwd|passphrase|secret|client[_-]?secret|api[_-]?key|token|id[_-]?token|access[_-]?token|accesstoken|refresh[_-]?token|identitytoken|registrytoken|serviceaccounttoken|auth|private[_-]?key|client-key-data|password_hash)\\?["']?\s*[:=]\s*\\?["']?)(?:[^\s"',}&\\]{3,})`),
		regexp.MustCompile(`(?i)(?P<keep>--?[a-z-]*(?:password|secret|token)(?:=|["']?,?\s+(?:-\s+)?["']?))[^\s"'-][^\s"',\]]{3,}`),
		// A variable as name and value on lines of their own, or in one mapping.
		regexp.MustCompile(`(?i)(?P<keep>\bname["']?:\s*["']?[a-z0-9_]*(?:secret|token|password|passwd|api_key|access_key|private_key|credentials?)["']?,?\s+["']?value["']?:\s*["']?)[^\s"',}]{3,}`),
		regexp.MustCompile(`(?i)(?P<keep>\b(?:login|curl|helm|skopeo|crane)\b[^\n]{0,160}?\s-p\s+)[^\s"']{4,}`),
		regexp.MustCompile(`(?P<keep>[a-z][a-z0-9+.-]*://[^/\s:@"']+:)[^/\s@"']+@`),
		regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abp]-[A-Za-z0-9-]{10,}|\bya29\.[A-Za-z0-9_.-]{10,}|\bglpat-[A-Za-z0-9_-]{10,}|\bgithub_pat_\w{20,}|\bdo[opr]_v1_[0-9a-f]{16,}|\bhv[sbr]\.[A-Za-z0-9_-]{16,}|\bnpm_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{20,}`),
		regexp.MustCompile(`\b(?:IQoJ|FwoG|FQoG)[A-Za-z0-9+/]{16,}={0,2}`), // session tokens of STS
		// Client certificates' and CAs' data, docker's auth strings and other long
		// base64 hold nothing a reader needs.
		regexp.MustCompile(`(?:[A-Za-z0-9+/]{64,}={0,2})`),
		regexp.MustCompile(`\b[A-Za-z0-9_-]{120,}\b`),
	}
})

// harmless are values of a secret's key that are none.
var harmless = lazyexp.New(`(?i)^(?:null|true|false|redacted|\.\.\.|<.*|\$.*|\{\{.*|x+|\*+|webhook|bearer|basic|oidc|jwt|required|expired|timed|waiting|invalid|unauthorized|forbidden|expiredtoken\w*|accessdenied\w*|invalidclienttokenid|unrecognizedclientexception|nocredentialproviders|eof|none|nil|has|is|to|the|and|for|from|could|cannot|not|with|in|of|file|(?:data|var|local|module|each|self)\.[a-z][\w.\[\]*-]*|http\S*|/\S*|~\S*|arn:\S*)[\s,;:.]*$`)

// A token is no lower case word: "anonymous token: unexpected status" is prose.
var (
	plainWord = lazyexp.New(`^[a-z]{2,14}[,;.]?$`)
	wordKey   = lazyexp.New(`(?i)token["']?\s*[:=]?\s+$|--?[a-z-]*token\s+$`)
)

// Redacted returns a line with every secret in it replaced.
func Redacted(s string) string { return redactSecrets(s, func(string) string { return "(secret)" }) }

// run is a text of the alphabet in which AWS's secret keys are written.
var run = lazyexp.New(`[A-Za-z0-9/+_=-]+`)

// isSecretKey tells whether a word that stands alone is likely an AWS secret access
// key: 40 characters of base64, of all kinds. Hashes have no capitals, and names and
// paths are not so mixed.
func isSecretKey(word string) bool {
	return len(word) == 40 && !strings.ContainsAny(word, "_=-") && mixed(word, 6)
}

// mixed tells whether a word holds so many capitals, so many small letters and a
// digit (or another sign of base64), as keys do, which nothing but their look gives
// away.
func mixed(word string, letters int) bool {
	upper, lower, others := 0, 0, 0
	for _, c := range word {
		switch {
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= '0' && c <= '9', c == '+', c == '=':
			others++
		}
	}
	return upper >= letters && lower >= letters && others >= 1
}

// Hushed is Redacted for a text in which nothing was recognised, so that nothing
// says what its words are: every long word that is mixed as keys are is left out,
// though it may be a name.
func Hushed(s string) string {
	words := strings.Fields(Redacted(s))
	for i, w := range words {
		if len(w) >= 20 && mixed(w, 1) {
			words[i] = "..."
		}
	}
	return strings.Join(words, " ")
}

func redactSecrets(s string, name func(string) string) string {
	s = run().ReplaceAllStringFunc(s, func(word string) string {
		if isSecretKey(word) {
			return name(word)
		}
		return word
	})
	for _, re := range secretShapes() {
		keep := re.SubexpIndex("keep")
		s = re.ReplaceAllStringFunc(s, func(m string) string {
			kept := ""
			if keep > 0 {
				kept = re.FindStringSubmatch(m)[keep]
				rest := strings.TrimPrefix(m, kept)
				if harmless().MatchString(rest) || plainWord().MatchString(rest) && wordKey().MatchString(kept) || strings.HasPrefix(rest, "(secret") || strings.HasPrefix(rest, "secret-") {
					return m
				}
				at := ""
				if strings.HasSuffix(m, "@") {
					rest, at = strings.TrimSuffix(rest, "@"), "@"
				}
				return kept + name(rest) + at
			}
			return name(m)
		})
	}
	return s
}

// Redactor replaces secrets, account numbers and hosts, each by the same
// stand-in wherever it stands, so that a reader still sees what belongs
// together.
type Redactor struct {
	names map[string]string
	count map[string]int
}

// NewRedactor returns a Redactor that has seen nothing yet.
func NewRedactor() *Redactor {
	return &Redactor{names: map[string]string{}, count: map[string]int{}}
}

var (
	arnAccount = lazyexp.New(`(arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:)(\d{4,14})(:)`)
	ecrAccount = lazyexp.New(`\b(\d{12})(\.dkr[.-]ecr)`)
	account    = lazyexp.New(`\b\d{12}\b`)
	uuid       = lazyexp.New(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	eksHost    = lazyexp.New(`\b[0-9A-Fa-f]{32}\.([a-z0-9]{2,4})\.([a-z0-9-]+)\.eks\.amazonaws\.com`)
	eksID      = lazyexp.New(`(/id/)([0-9A-Fa-f]{32})\b`)
	urlHost    = lazyexp.New(`(https?://)(?:([^/\s:@"'<>]+)@)?([A-Za-z0-9._-]+)`)
	ipv4       = lazyexp.New(`\b(?:\d{1,3}\.){3}\d{1,3}\b`)
	ec2Host    = lazyexp.New(`\bip-\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}\b`)
	// k8s.io/client-go@v0.29.3 in a log's path is no mail address
	moduleVersion = lazyexp.New(`@v?\d+\.\d`)
	mail          = lazyexp.New(`\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\b`)
	homeDir       = lazyexp.New(`(/home/|/Users/|[A-Za-z]:\\Users\\)([^/\\\s"':]+)`)
	standIn       = lazyexp.New(`^host-\d+\.`)
	bareHost      = lazyexp.New(`(?i)\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:com|net|org|io|dev|cloud|local|internal|corp|lan|cn|eu|de|uk|us)\b`)
)

// publicHosts say what kind of service it is and whose is no one's secret.
var publicHosts = []string{
	"amazonaws.com", "amazonaws.com.cn", "api.aws", "on.aws", "public.ecr.aws", "k8s.io", "kubernetes.io", "googleapis.com",
	"gcr.io", "docker.io", "quay.io", "ghcr.io", "github.com", "google.com", "microsoftonline.com", "microsoft.com", "pkg.dev", "mcr.microsoft.com",
	"windows.net", "azure.com", "kubernetes.default.svc", "cluster.local", "amazon.com", "k8s.aws", "amazonaws.eu", "apache.org", "go.dev", "golang.org",
}

func isPublicHost(h string) bool {
	h = strings.ToLower(h)
	for _, p := range publicHosts {
		if h == p || strings.HasSuffix(h, "."+p) {
			return true
		}
	}
	return h == "localhost" || strings.HasPrefix(h, "127.") || h == "kubernetes.default" || h == "169.254.169.254" || h == "169.254.170.23" || h == "169.254.170.2" || h == "0.0.0.0"
}

func (r *Redactor) stand(kind, value, format string) string {
	key := kind + "\x00" + value
	if n, ok := r.names[key]; ok {
		return n
	}
	r.count[kind]++
	n := fmt.Sprintf(format, r.count[kind])
	r.names[key] = n
	return n
}

func (r *Redactor) account(s string) string {
	return r.stand("account", s, fmt.Sprintf("%%0%dd", len(s)))
}

// Redact returns the text with secrets, account numbers, cluster ids, hosts,
// addresses, mail addresses, user folders and UUIDs replaced.
func (r *Redactor) Redact(s string) string {
	s = redactSecrets(s, func(m string) string { return r.stand("secret", m, "secret-%d") })
	s = mail().ReplaceAllStringFunc(s, func(m string) string {
		if moduleVersion().MatchString(m) {
			return m
		}
		return r.stand("mail", m, "person-%d@example.com")
	})
	s = uuid().ReplaceAllStringFunc(s, func(m string) string { return r.stand("uuid", m, "00000000-0000-4000-8000-%012d") })
	s = arnAccount().ReplaceAllStringFunc(s, func(m string) string {
		p := arnAccount().FindStringSubmatch(m)
		return p[1] + r.account(p[2]) + p[3]
	})
	s = ecrAccount().ReplaceAllStringFunc(s, func(m string) string {
		p := ecrAccount().FindStringSubmatch(m)
		return r.account(p[1]) + p[2]
	})
	s = account().ReplaceAllStringFunc(s, func(m string) string {
		if strings.HasPrefix(m, "00000000") {
			return m // a stand-in
		}
		return r.account(m)
	})
	s = eksHost().ReplaceAllStringFunc(s, func(m string) string {
		p := eksHost().FindStringSubmatch(m)
		return r.stand("cluster", m, "%032d") + "." + p[1] + "." + p[2] + ".eks.amazonaws.com"
	})
	s = eksID().ReplaceAllStringFunc(s, func(m string) string {
		return "/id/" + r.stand("cluster", m, "%032d")
	})
	s = urlHost().ReplaceAllStringFunc(s, func(m string) string {
		p := urlHost().FindStringSubmatch(m)
		if isPublicHost(p[3]) || strings.HasSuffix(p[3], "example.com") {
			return p[1] + p[3]
		}
		return p[1] + r.host(p[3])
	})
	s = ipv4().ReplaceAllStringFunc(s, func(m string) string {
		if isPublicHost(m) || strings.HasPrefix(m, "192.0.2.") {
			return m
		}
		return r.stand("address", m, "192.0.2.%d")
	})
	s = ec2Host().ReplaceAllStringFunc(s, func(m string) string { return r.stand("node", m, "ip-192-0-2-%d") })
	s = homeDir().ReplaceAllStringFunc(s, func(m string) string {
		p := homeDir().FindStringSubmatch(m)
		return p[1] + r.stand("person", p[2], "user%d")
	})
	return r.bareHosts(s)
}

// bareHosts replaces names of hosts that stand without a scheme. A match that
// goes on, as in dkr-ecr.us-east-1.on.aws, is no whole name.
func (r *Redactor) bareHosts(s string) string {
	var b strings.Builder
	last := 0
	for _, m := range bareHost().FindAllStringIndex(s, -1) {
		host := s[m[0]:m[1]]
		cut := m[1] < len(s) && strings.ContainsRune("-_.(=", rune(s[m[1]])) && !(s[m[1]] == '.' && (m[1]+1 == len(s) || s[m[1]+1] == ' '))
		if cut || isPublicHost(host) || standIn().MatchString(host) || strings.HasSuffix(host, "example.com") {
			continue
		}
		b.WriteString(s[last:m[0]])
		b.WriteString(r.host(host))
		last = m[1]
	}
	return b.String() + s[last:]
}

func (r *Redactor) host(h string) string {
	if ipv4().MatchString(h) {
		return r.stand("address", h, "192.0.2.%d")
	}
	low := strings.ToLower(h)
	name, suffix := "", ""
	for _, s := range serviceSuffixes {
		if strings.HasSuffix(low, s) {
			name, suffix = r.stand("host", low, "host-%d"), s
		}
	}
	if name == "" {
		name = r.stand("host", low, "host-%d.example.com")
	}
	if low != h {
		name = "H" + name[1:] // capitals in a host are a fault at times
	}
	return name + suffix
}

// serviceSuffixes say which service a host belongs to, which a reader needs.
var serviceSuffixes = []string{".azurecr.io", ".azurecr.cn", ".azurecr.us", ".azmk8s.io", ".ondigitalocean.com", ".elb.amazonaws.com"}
