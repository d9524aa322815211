package imagecred

import (
	"strconv"
	"strings"
	"time"

	"github.com/kubecred/kubecred/finding"
)

// Config is what a kubelet would make of one --image-credential-provider-config.
type Config struct {
	// Path is the file or directory as it was given.
	Path string
	// Directory says that Path is one, and its files were merged.
	Directory bool
	Files     []File
	// Providers are those of all files, in the order in which they are asked.
	Providers []Provider
	// Problems are what stops a kubelet from starting with the config.
	Problems []finding.Finding
	// Ignored are names in a directory that the kubelet does not read.
	Ignored []string
	// Refusal is the error with which a kubelet exits, as far as the config
	// alone decides; "" where it starts.
	Refusal string

	version Version
}

// File is one file of a config.
type File struct {
	Name       string
	APIVersion string
	// Providers counts them.
	Providers int

	dropped finding.Where // a second document
	places  places
}

// Provider is an entry of providers.
type Provider struct {
	Name        string
	MatchImages []string
	// Patterns has a Pattern for each of MatchImages; one that does not compile
	// is empty and matches nothing.
	Patterns []Pattern
	// DefaultCacheDuration is nil where it is missing.
	DefaultCacheDuration *time.Duration
	APIVersion           string
	Args                 []string
	Env                  []EnvVar
	TokenAttributes      *TokenAttributes
	// File is the name of the file that it is from.
	File string

	index  int // in its file
	places *places
}

// EnvVar is a variable that the kubelet adds to the plugin's environment.
type EnvVar struct{ Name, Value string }

// TokenAttributes are a provider's wishes for service account tokens.
type TokenAttributes struct {
	Audience               string
	CacheType              string // "Token" or "ServiceAccount"
	RequireServiceAccount  *bool
	RequiredAnnotationKeys []string
	OptionalAnnotationKeys []string
}

// path is the provider's place in its file.
func (p *Provider) path() string { return "providers[" + strconv.Itoa(p.index) + "]" }

// Where is the place of a field of the provider, such as "matchImages[1]"; for
// one that is not there, the place of what holds it. "" is the provider itself.
func (p *Provider) Where(field string) finding.Where {
	if p.places == nil {
		return finding.Where{File: p.File}
	}
	for field != "" {
		if w, ok := p.places.value(p.path() + "." + field); ok {
			return w
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
	w, _ := p.places.value(p.path())
	return w
}

// subject names the provider in a finding.
func (p *Provider) subject() string {
	if p.Name == "" {
		return "provider " + strconv.Itoa(p.index+1)
	}
	return "provider " + shown(p.Name)
}

// Matches tells whether the kubelet would ask the provider about the target.
func (p *Provider) Matches(t *Target) bool {
	for i := range p.Patterns {
		if p.Patterns[i].Match(t) {
			return true
		}
	}
	return false
}
