package imagecred

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubecred/kubecred/finding"
	"github.com/kubecred/kubecred/internal/lazyexp"
)

// The codes of what stops a kubelet.
const (
	codeUndecodable  = "KC201"
	codeConfigKind   = "KC202"
	codeRequired     = "KC203"
	codeName         = "KC204"
	codePluginAPI    = "KC205"
	codeBadPattern   = "KC206"
	codeBadDuration  = "KC207"
	codeTokens       = "KC208"
	codeUnreadable   = "KC209"
	codeTooOld       = "KC210"
	codeBinary       = "KC211"
	codeProtocol     = "KC212"
	codeSecondDoc    = "KC213"
	codeIgnoredFile  = "KC214"
	codeDuplicate    = "KC227"
	codeBothAsked    = "KC228"
	codeECRUncovered = "KC231"
	codeNeeds        = "KC232"
	codeNoCache      = "KC233"
	codeExe          = "KC235"
)

// problem records what stops a kubelet. kubelet is its error, verbatim.
func (c *Config) problem(code, subject string, where finding.Where, message, kubelet, fix string) {
	f := finding.New(code, subject, message)
	f.Severity = finding.Error
	f.Where = where
	f.Fix.Summary = fix
	if kubelet != "" {
		f.Evidence["kubelet"] = shown(kubelet)
		if c.Refusal == "" {
			c.Refusal = kubelet
		}
	}
	c.Problems = append(c.Problems, f)
}

// addFile decodes a file and adds its providers.
func (c *Config) addFile(name string, data []byte) {
	places, next := locate(name, data)
	c.Files = append(c.Files, File{Name: name, places: places, dropped: next})
	f := &c.Files[len(c.Files)-1]
	decoded, fail := decode(data)
	if fail != nil {
		c.decodeProblems(f, fail)
		decoded = f.places.salvage()
	}
	f.APIVersion = decoded.APIVersion
	f.Providers = len(decoded.Providers)
	for i, p := range decoded.Providers {
		c.Providers = append(c.Providers, provider(p, i, f))
	}
	// A kubelet before 1.26 knows fewer versions than the one compared with.
	if fail == nil && !c.version.Knows(Feature(decoded.APIVersion)) {
		where, _ := f.places.value("apiVersion")
		c.problem(codeConfigKind, "config", where,
			fmt.Sprintf("apiVersion %s is known to kubelets from %s on, and %s is older", decoded.APIVersion, Since(Feature(decoded.APIVersion)), c.version),
			fmt.Sprintf("error decoding config %q: no kind %q is registered for version %q in scheme %q", name, configKind, decoded.APIVersion, "pkg/credentialprovider/plugin/plugin.go:56"),
			fmt.Sprintf("write apiVersion: %s for nodes of %s", c.version.newestConfig(), c.version))
	}
}

func provider(w CredentialProvider, index int, f *File) Provider {
	p := Provider{
		Name: w.Name, MatchImages: w.MatchImages, APIVersion: w.APIVersion, Args: w.Args,
		File: f.Name, index: index, places: &f.places,
	}
	for _, m := range w.MatchImages {
		compiled, err := Compile(m)
		if err != nil {
			compiled = Pattern{text: m}
		}
		p.Patterns = append(p.Patterns, compiled)
	}
	if w.DefaultCacheDuration != nil {
		d := w.DefaultCacheDuration.Duration
		p.DefaultCacheDuration = &d
	}
	for _, e := range w.Env {
		p.Env = append(p.Env, EnvVar(e))
	}
	if t := w.TokenAttributes; t != nil {
		p.TokenAttributes = &TokenAttributes{
			Audience: t.ServiceAccountTokenAudience, CacheType: t.CacheType, RequireServiceAccount: t.RequireServiceAccount,
			RequiredAnnotationKeys: t.RequiredServiceAccountAnnotationKeys, OptionalAnnotationKeys: t.OptionalServiceAccountAnnotationKeys,
		}
	}
	return p
}

// decodeProblems records why a file cannot be decoded, each fault at its place.
func (c *Config) decodeProblems(f *File, fail *decodeError) {
	kubelet := fmt.Sprintf("error decoding config %q: %s", f.Name, fail)
	defer byPlace(c, len(c.Problems))
	switch fail.kind {
	case badMeta:
		c.metaProblem(f, fail, kubelet)
	case unknownKind, wrongKind:
		c.kindProblem(f, fail, kubelet)
	case strict:
		for _, err := range fail.errs {
			c.strictProblem(f, err.Error(), kubelet)
		}
	case badType:
		// The kubelet names the first wrong type and comes to nothing else.
		types := f.places.typeFaults()
		for _, t := range types {
			c.problem(codeUndecodable, t.subject, t.where, t.message, kubelet, t.fix)
		}
		if len(types) == 0 {
			c.problem(codeUndecodable, "config", finding.Where{File: f.Name}, "a value has the wrong type: "+shown(fail.Error()), kubelet, "")
		}
		for _, path := range f.places.unknownKeys(Feature(fail.apiVersion)) {
			where, _ := f.places.key(path)
			message, fix := f.unknown(path)
			c.problem(codeUndecodable, "config", where, message, kubelet, fix)
		}
		for _, again := range f.places.twice {
			c.problem(codeUndecodable, "config", f.places.where(again.node), "key "+quote(again.node.Value)+" is there twice in one mapping", kubelet, "keep one of them")
		}
	default:
		where := finding.Where{File: f.Name}
		message := strings.TrimPrefix(strings.TrimPrefix(fail.Error(), "couldn't get version/kind; json parse error: "), "yaml: ")
		if m := lineInError().FindStringSubmatch(message); m != nil {
			where.Line, _ = strconv.Atoi(m[1])
			message = strings.TrimPrefix(message, m[0])
		}
		fix := ""
		if line := f.places.raw(where.Line); strings.Contains(message, "cannot start any token") || strings.HasPrefix(strings.TrimLeft(line, " "), "\t") {
			fix = "indent with spaces: YAML allows no tabs there"
		}
		c.problem(codeUndecodable, "config", where, "neither YAML nor JSON: "+shown(message), kubelet, fix)
	}
}

// byPlace puts the problems from an index on into the order of the file.
func byPlace(c *Config, from int) {
	slices.SortStableFunc(c.Problems[from:], func(a, b finding.Finding) int {
		return cmp.Or(cmp.Compare(a.Where.Line, b.Where.Line), cmp.Compare(a.Where.Column, b.Where.Column))
	})
}

var lineInError = lazyexp.New(`^(?:unmarshal errors:\n\s*)?line (\d+): `)

func (p *places) raw(line int) string {
	if line < 1 || line > len(p.lines) {
		return ""
	}
	return p.lines[line-1]
}

func (c *Config) metaProblem(f *File, fail *decodeError, kubelet string) {
	where := finding.Where{File: f.Name}
	message, fix := "", fmt.Sprintf("begin the file with apiVersion: %s and kind: %s", c.version.orCurrent().newestConfig(), configKind)
	switch {
	case strings.HasPrefix(fail.Error(), "Object 'Kind'"):
		message = "kind is missing"
		if len(f.places.values) == 0 || f.dropped.Line > 0 && f.places.values["kind"] == nil {
			message = "the first document of the file is empty, and the kubelet reads no other"
			if f.dropped.Line == 0 {
				message = "the file holds no document"
			}
		}
	case strings.HasPrefix(fail.Error(), "Object 'apiVersion'"):
		message = "apiVersion is missing or has no version"
		where, _ = f.places.value("apiVersion")
	case strings.HasPrefix(fail.Error(), "unexpected GroupVersion"):
		message = "apiVersion " + quote(fail.apiVersion) + " is no group and version"
		where, _ = f.places.value("apiVersion")
	default:
		message = "the document is no mapping with a text for apiVersion and for kind"
	}
	c.problem(codeConfigKind, "config", where, message, kubelet, fix)
}

func (c *Config) kindProblem(f *File, fail *decodeError, kubelet string) {
	newest := string(c.version.orCurrent().newestConfig())
	where, _ := f.places.value("apiVersion")
	message := fmt.Sprintf("no kubelet knows apiVersion %s for kind %s", shown(fail.apiVersion), configKind)
	fix := "write apiVersion: " + newest
	switch {
	case fail.documentKind != configKind:
		where, _ = f.places.value("kind")
		message = fmt.Sprintf("kind is %s, and the kubelet wants %s here", shown(fail.documentKind), configKind)
		fix = "write kind: " + configKind
		if fail.documentKind == "KubeletConfiguration" {
			fix = "this is the kubelet's own config (--config): providers are a file of their own, of kind " + configKind
		}
	case strings.HasPrefix(fail.apiVersion, pluginGroup):
		message = fmt.Sprintf("apiVersion %s is of the plugins' protocol, and the config's group is %s", shown(fail.apiVersion), configGroup)
	}
	c.problem(codeConfigKind, "config", where, message, kubelet, fix)
}

var (
	unknownField   = lazyexp.New(`^unknown field "(.*)"$`)
	duplicateField = lazyexp.New(`^duplicate field "(.*)"$`)
	duplicateKey   = lazyexp.New(`line (\d+): key "(.*)" already set in map`)
)

func (c *Config) strictProblem(f *File, text, kubelet string) {
	if m := unknownField().FindStringSubmatch(text); m != nil {
		where, _ := f.places.key(m[1])
		message, fix := f.unknown(m[1])
		c.problem(codeUndecodable, "config", where, message, kubelet, fix)
		return
	}
	if m := duplicateField().FindStringSubmatch(text); m != nil {
		where, _ := f.places.key(m[1])
		c.problem(codeUndecodable, "config", where, "field "+quote(m[1])+" is there twice", kubelet, "keep one of them")
		return
	}
	found := false
	for _, m := range duplicateKey().FindAllStringSubmatch(text, -1) {
		found = true
		line, _ := strconv.Atoi(m[1])
		c.problem(codeUndecodable, "config", finding.Where{File: f.Name, Line: line}, "key "+quote(m[2])+" is there twice in one mapping", kubelet, "keep one of them")
	}
	if !found {
		c.problem(codeUndecodable, "config", finding.Where{File: f.Name}, shown(text), kubelet, "")
	}
}

// fields are those of a config, by the path of the mapping that holds them.
var fields = map[string][]string{
	"":            {"apiVersion", "kind", "providers"},
	"providers[]": {"name", "matchImages", "defaultCacheDuration", "apiVersion", "args", "env", "tokenAttributes"},
	"providers[].tokenAttributes": {"serviceAccountTokenAudience", "cacheType", "requireServiceAccount",
		"requiredServiceAccountAnnotationKeys", "optionalServiceAccountAnnotationKeys"},
	"providers[].env[]": {"name", "value"},
}

// unknownKeys are the paths of keys that the kubelet's decoder does not know.
func (p *places) unknownKeys(version Feature) []string {
	var out []string
	for path, key := range p.keys {
		name := key.Value
		parent := indexes().ReplaceAllString(strings.TrimSuffix(strings.TrimSuffix(path, name), "."), "[]")
		known, ok := fields[parent]
		older := version != ConfigV1 && strings.HasPrefix(parent+"."+name, "providers[].tokenAttributes")
		switch {
		case older && name != "tokenAttributes":
			// the mapping that holds it is unknown
		case ok && (older || !slices.Contains(known, name)):
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

var indexes = lazyexp.New(`\[\d+\]`)

// unknown says what an unknown field was probably meant to be.
func (f *File) unknown(path string) (message, fix string) {
	parent, name := "", path
	if i := strings.LastIndex(path, "."); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	message = "unknown field " + quote(name)
	if parent != "" {
		message += " in " + parent
	}
	if name == "tokenAttributes" && indexes().ReplaceAllString(parent, "[]") == "providers[]" {
		return message + ": tokenAttributes exists in " + string(ConfigV1) + " only", "write apiVersion: " + string(ConfigV1) + " at the top of the file"
	}
	best, distance := "", 100
	for _, known := range fields[indexes().ReplaceAllString(parent, "[]")] {
		if d := editDistance(strings.ToLower(name), strings.ToLower(known)); d < distance {
			best, distance = known, d
		}
	}
	if best != "" && distance <= max(2, len(best)/3) {
		return message, "write " + best
	}
	return message, "the kubelet decodes strictly: take the field out"
}
