package broker

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/plainjson"
)

// imageRoad is the kubelet's credential provider protocol. The kubelet asks for
// each image; which further images an answer is good for, the answer says itself
// (cacheKeyType), so that an answer is looked for under three names.
type imageRoad struct {
	b     *Broker
	wants credapi.ProviderRequest
}

// Indexes of imageRoad.keys.
const (
	byImage = iota
	byRegistry
	globally
)

// Image returns the question of a kubelet. request is what it wrote to stdin. The
// error says what is wrong with it, or is a [*NotFoundError].
func (b *Broker) Image(request []byte, issuer string, args []string) (*Ask, error) {
	wants, err := credapi.ParseProviderRequest(request)
	if err != nil {
		return nil, errors.New("the request on stdin: " + err.Error())
	}
	r := imageRoad{b: b, wants: wants}
	return b.newAsk(r, issuer, args, r.account())
}

func (imageRoad) name() string      { return imageName }
func (imageRoad) interactive() bool { return false }

// refusable: the kubelet is always the same process and asks for many images, so
// that a second question tells nothing. It never asks again for a refusal either.
func (imageRoad) refusable() bool { return false }

// sweeps: a kubelet leaves what a plugin has started and waits, without a bound, for
// whoever holds its stdout. Each pull would add one to the processes of the node.
func (imageRoad) sweeps() bool { return true }

// attempts: the kubelet gives a provider a minute and does not try twice.
func (imageRoad) attempts() int { return 3 }

func (r imageRoad) asked() string {
	return strings.TrimPrefix(r.wants.APIVersion, credapi.ProviderGroup+"/")
}

// registry is the text before the first slash, as the kubelet has it
// (k8s.io/kubernetes pkg/credentialprovider/plugin/plugin.go, parseRegistry).
func (r imageRoad) registry() string {
	registry, _, _ := strings.Cut(r.wants.Image, "/")
	return registry
}

func (r imageRoad) keys(base string) []string {
	name := func(parts ...string) string {
		var d digest
		d.add(base)
		d.add(parts...)
		return d.name(imageName)
	}
	return []string{byImage: name("image", r.wants.Image), byRegistry: name("registry", r.registry()), globally: name("global")}
}

// account is the identity of the service account that the kubelet sent, which is
// part of the key. A token that cannot be read counts as a whole.
func (r imageRoad) account() []string {
	token := r.wants.ServiceAccountToken
	if token == "" && len(r.wants.ServiceAccountAnnotations) == 0 {
		return nil
	}
	about := []string{"account"}
	if id, _, ok := serviceAccount(token); ok {
		about = append(about, id...)
	} else {
		about = append(about, "token", token)
	}
	for _, name := range slices.Sorted(maps.Keys(r.wants.ServiceAccountAnnotations)) {
		about = append(about, name, r.wants.ServiceAccountAnnotations[name])
	}
	return about
}

// serviceAccount reads whose token it is, and until when it lives.
func serviceAccount(token string) (id []string, expires time.Time, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return nil, time.Time{}, false
	}
	top, ok := object(payload)
	kubernetes, ok2 := object(top["kubernetes.io"])
	account, ok3 := object(kubernetes["serviceaccount"])
	subject := plainText(top["sub"])
	if !ok || !ok2 || !ok3 || subject == "" {
		return nil, time.Time{}, false
	}
	// The subject is for people too, the rest goes into a key alone, as it stands.
	return []string{
		string(top["iss"]), subject, string(top["aud"]), string(kubernetes["namespace"]), string(account["name"]), string(account["uid"]),
	}, jwtExpiry(token), true
}

// object takes a JSON object apart. Where there is none it is empty.
func object(text []byte) (map[string][]byte, bool) {
	if len(text) == 0 || string(text) == "null" {
		return nil, true
	}
	members, ok := plainjson.Object(text)
	if !ok {
		return nil, false
	}
	all := make(map[string][]byte, len(members))
	for _, m := range members {
		all[m.Name] = m.Raw
	}
	return all, true
}

// plainText is what a JSON string means, "" where there is none.
func plainText(text []byte) string {
	s, _ := plainjson.String(text)
	return s
}

func (r imageRoad) request(version string) (environ []string, stdin []byte) {
	return r.b.Environ, r.wants.Encode(credapi.ProviderGroup + "/" + version)
}

func (r imageRoad) read(stdout []byte, now time.Time) (credential, error) {
	resp, err := credapi.ParseProviderResponse(stdout)
	if err != nil {
		return credential{}, errors.New("CredentialProviderResponse: " + err.Error())
	}
	c := credential{speaks: strings.TrimPrefix(resp.APIVersion, credapi.ProviderGroup+"/"), keep: true}
	switch resp.CacheKeyType {
	case credapi.CacheByImage:
		c.scope, c.about = byImage, r.wants.Image
	case credapi.CacheByRegistry:
		c.scope, c.about = byRegistry, r.registry()
	default:
		c.scope, c.about = globally, "any image"
	}
	// The duration is counted anew in each answer, so what is kept has none.
	duration := resp.CacheDuration
	resp.CacheDuration = nil
	c.payload = body(resp)
	switch {
	case duration == nil:
		c.until, c.renew = schedule(now, time.Time{})
	case *duration <= 0: // not to be kept, says the issuer
		c.keep = false
		c.payload = append([]byte(`{"cacheDuration":"`+duration.String()+`",`), c.payload[1:]...)
	default:
		c.expires = now.Add(*duration)
		c.until, c.renew = schedule(now, c.expires)
	}
	// A credential got with a pod's token may die with it.
	if _, end, ok := serviceAccount(r.wants.ServiceAccountToken); ok && !end.IsZero() {
		if c.until.After(end) {
			c.until = end
		}
		if c.renew.After(c.until) {
			c.renew = c.until
		}
	}
	return c, nil
}

// body is a response without apiVersion and kind.
func body(resp credapi.ProviderResponse) []byte {
	doc := resp.Encode("")
	_, rest, _ := bytes.Cut(doc, []byte(`"apiVersion":"",`))
	return append([]byte{'{'}, rest...)
}

// answer puts the kept body into its frame, with the time that is left of it.
func (r imageRoad) answer(e *entry, now time.Time) []byte {
	b := make([]byte, 0, len(e.payload)+128)
	b = append(b, `{"kind":"CredentialProviderResponse","apiVersion":"`...)
	b = append(b, r.wants.APIVersion...)
	b = append(b, `",`...)
	if !e.expires.IsZero() {
		left := max(e.expires.Sub(now).Truncate(time.Second), 0)
		b = append(b, `"cacheDuration":"`...)
		b = append(b, left.String()...)
		b = append(b, `",`...)
	}
	b = append(b, e.payload[1:]...)
	return append(b, '\n')
}

// lockKey is the name whose lock keeps the issuer from being run twice for one
// answer. Before the first answer that is the registry's, for most issuers answer
// by registry; then it is what the last answer for the registry says.
func (a *Ask) lockKey() string {
	if len(a.keys) == 1 {
		return a.keys[0]
	}
	registry := a.keys[byRegistry]
	data, _, err := a.store.read(registry, scopeSuffix)
	if err != nil {
		return registry
	}
	all, _, err := decodeRecord("scope", data)
	if err != nil || all.get("key") != registry {
		return registry
	}
	switch all.get("scope") {
	case string(credapi.CacheByImage):
		return a.keys[byImage]
	case string(credapi.CacheGlobal):
		return a.keys[globally]
	}
	return registry
}

// keepScope remembers for which images the answers for a registry are good.
func (a *Ask) keepScope(key string) {
	if len(a.keys) == 1 {
		return
	}
	scope := string(credapi.CacheByRegistry)
	switch key {
	case a.keys[byImage]:
		scope = string(credapi.CacheByImage)
	case a.keys[globally]:
		scope = string(credapi.CacheGlobal)
	}
	registry := a.keys[byRegistry]
	data := encodeRecord("scope", fields{{"key", registry}, {"scope", scope}}, nil)
	switch old, _, err := a.store.read(registry, scopeSuffix); {
	case err == nil && bytes.Equal(old, data):
		return
	case errors.Is(err, fs.ErrNotExist) && key == registry: // what lockKey takes it for without a word
		return
	}
	_ = a.store.write(registry, scopeSuffix, data) // only saves waiting
}
