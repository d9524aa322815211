package broker

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/credapi"
)

// Kept is an entry of the cache, for people to look at.
type Kept struct {
	// Road is "client" or "image", Key the entry's name.
	Road, Key string
	// Issuer is the command that gave it, without what may be secret there.
	Issuer string
	// For is what it is for, where the road knows: an image, a registry, or "any
	// image".
	For     string
	Created time.Time
	// Expires is when it dies, zero where nobody knows; Until is the moment up to
	// which it is handed out.
	Expires, Until time.Time
	// Refused is when a refusal last made the issuer run, zero for never.
	Refused time.Time

	payload []byte
}

// Answer is the document that the entry answers with. It is the credential
// itself: for looking into, not for showing.
func (k Kept) Answer() []byte {
	e := &entry{payload: k.payload, expires: k.Expires, until: k.Until}
	if k.Road == imageName {
		return imageRoad{wants: credapi.ProviderRequest{APIVersion: credapi.ProviderV1}}.answer(e, k.Created)
	}
	return clientRoad{wants: credapi.ExecRequest{APIVersion: credapi.ExecV1}}.answer(e, k.Created)
}

// List returns what is kept in a cache directory, by issuer. damaged counts
// entries that cannot be read. A directory that is not there holds nothing.
func List(dir string) (kept []Kept, damaged int, err error) {
	s, err := openStore(dir, false)
	if errors.Is(err, fs.ErrNotExist) || s == nil && err == nil {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	names, err := filepath.Glob(filepath.Join(s.dir, "*"+entrySuffix))
	if err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		key := strings.TrimSuffix(filepath.Base(name), entrySuffix)
		if !isKey(key) {
			continue
		}
		data, _, err := s.read(key, entrySuffix)
		if err != nil {
			damaged++
			continue
		}
		e, err := decodeEntry(data, key)
		if err != nil {
			damaged++
			continue
		}
		road, _, _ := strings.Cut(key, "-")
		kept = append(kept, Kept{
			Road: road, Key: key, Issuer: string(e.issuer), Created: e.created, Expires: e.expires,
			Until: e.until, Refused: e.refused, For: string(e.about), payload: e.payload,
		})
	}
	slices.SortFunc(kept, func(a, b Kept) int {
		if c := strings.Compare(a.Road+" "+a.Issuer, b.Road+" "+b.Issuer); c != 0 {
			return c
		}
		return a.Created.Compare(b.Created)
	})
	return kept, damaged, nil
}

// Clear removes entries from a cache directory, those that which returns true
// for, or all where it is nil, damaged ones and all else that belongs to them
// too. It returns how many entries it removed.
func Clear(dir string, which func(Kept) bool) (int, error) {
	kept, _, err := List(dir)
	if err != nil {
		return 0, err
	}
	s, err := openStore(dir, false)
	if err != nil || s == nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return 0, err
	}
	remove := map[string]bool{}
	for _, k := range kept {
		if which == nil || which(k) {
			remove[k.Key] = true
		}
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return 0, plainError(err)
	}
	var failed error
	for _, e := range entries {
		name := e.Name()
		suffix := filepath.Ext(name)
		key := strings.TrimSuffix(name, suffix)
		path := filepath.Join(s.dir, name)
		switch {
		case which == nil && (strings.HasPrefix(name, tempPrefix) || strings.HasPrefix(name, journalName)):
		case !isKey(key) || which != nil && !remove[key]:
			continue
		case suffix == lockSuffix:
			removeLock(path)
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, plainError(err))
		}
	}
	return len(remove), failed
}
