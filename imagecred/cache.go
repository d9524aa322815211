package imagecred

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// globalKey is the cache key of answers for every image.
const globalKey = "<global>"

// entry is an answer in a provider's cache.
type entry struct {
	logins    map[string]Login
	keyType   string
	expiresAt time.Time
}

// cache is one provider's. The kubelet never drops an answer because a registry
// refuses it, only when it is old.
type cache map[string]entry

// find looks an image up: by itself, then by its registry, then globally.
func (c cache) find(t *Target, account string, now time.Time) (entry, bool, error) {
	for _, base := range []string{t.Repository(), t.Registry(), globalKey} {
		key, err := cacheKey(base, account)
		if err != nil {
			return entry{}, false, err
		}
		if e, ok := c[key]; ok {
			if !now.After(e.expiresAt) {
				return e, true, nil
			}
			delete(c, key)
		}
	}
	return entry{}, false, nil
}

// keyBuilder writes parts with their lengths, so that no two lists of parts come
// to the same key (cacheKeyBuilder in pkg/credentialprovider/plugin/plugin.go).
type keyBuilder struct {
	key []byte
	err error
}

func (b *keyBuilder) text(s string) {
	if len(s) > 0xffff {
		b.err = errors.New("a part of the cache key is longer than 65,535 bytes")
		return
	}
	b.key = append(binary.BigEndian.AppendUint16(b.key, uint16(len(s))), s...)
}

func (b *keyBuilder) annotations(a map[string]string) {
	b.key = binary.BigEndian.AppendUint32(b.key, uint32(len(a)))
	for _, k := range slices.Sorted(maps.Keys(a)) {
		b.text(k)
		b.text(a[k])
	}
}

// cacheKey joins what an answer is for with whom it is for.
func cacheKey(base, account string) (string, error) {
	var b keyBuilder
	b.text(base)
	b.text(account)
	return string(b.key), b.err
}

// accountKey is whom an answer is for where the plugin was given a token.
func accountKey(namespace, name, uid string, annotations map[string]string, cacheType, token string) (string, error) {
	var b keyBuilder
	b.text(namespace)
	b.text(name)
	b.text(uid)
	b.annotations(annotations)
	if cacheType == "Token" {
		b.text("token")
		b.text(tokenHash(token))
	}
	return string(b.key), b.err
}

func tokenHash(token string) string {
	if token == "" {
		return ""
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(token)))
}
