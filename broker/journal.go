package broker

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The journal of the image road says what became of the kubelet's questions. The
// pod's events only say 401, and the kubelet's log does not keep a plugin's
// words. It has a line of JSON for each question that the cache did not answer,
// and no credential: of what an issuer says only the words of kubecred-aws are
// kept, which has no secrets in its words.

const (
	journalName = "image-journal"
	// maxJournal is the size from which on the journal begins anew; the one before
	// is kept beside it.
	maxJournal = 256 << 10
)

// Outcome is one line of the journal.
type Outcome struct {
	Time     time.Time `json:"time"`
	Image    string    `json:"image"`
	Registry string    `json:"registry"`
	Issuer   string    `json:"issuer"`
	// ServiceAccount is NAMESPACE/NAME where the kubelet sent one.
	ServiceAccount string `json:"serviceAccount,omitempty"`
	// OK tells whether there was an answer; Stale that it was an old one because
	// a new one was not to be had.
	OK    bool `json:"ok"`
	Stale bool `json:"stale,omitempty"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
	// Empty: the issuer has no credential for the image.
	Empty bool `json:"empty,omitempty"`
	// Error is why there was none, or why it is an old one.
	Error string `json:"error,omitempty"`
	// Warning is what kubecred-aws said beside a new one, such as that the node's
	// identity was taken for the pod's.
	Warning string `json:"warning,omitempty"`
}

// writeJournal appends the outcome of a question. That the journal cannot be
// written is nobody's trouble.
func (a *Ask) writeJournal(out []byte, err error) {
	r, ok := a.road.(imageRoad)
	if !ok || a.store == nil {
		return
	}
	now := a.b.Now()
	o := Outcome{
		Time: now.UTC(), Image: oneLine(r.wants.Image), Registry: oneLine(r.registry()), Issuer: public(a.issuer, a.args),
		OK: err == nil, Seconds: float64(now.Sub(a.began).Milliseconds()) / 1000, Empty: err == nil && bytes.Contains(out, []byte(`"auth":null`)),
	}
	if id, _, ok := serviceAccount(r.wants.ServiceAccountToken); ok {
		o.ServiceAccount = oneLine(strings.TrimPrefix(strings.Replace(id[1], ":", "/", 3), "system/serviceaccount/"))
	}
	if err == nil {
		err, o.Stale = a.stale, a.stale != nil
	}
	if err != nil {
		o.Error = a.reason(err)
	} else {
		o.Warning = a.words(a.said)
	}
	line := o.encode()
	name := filepath.Join(a.store.dir, journalName)
	if info, e := os.Lstat(name); e == nil && (info.Size() > maxJournal || !info.Mode().IsRegular()) {
		_ = os.Rename(name, name+".1")
	}
	f, e := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY|noFollow|nonBlock, 0o600)
	if e != nil {
		return
	}
	_, _ = f.Write(append(line, '\n'))
	_ = f.Close()
}

// maxReason bounds what is kept of an issuer's words.
const maxReason = 400

// reason is an error with the issuer's own words where those have no secrets.
func (a *Ask) reason(err error) string {
	var failed *IssuerError
	if !errors.As(err, &failed) {
		return oneLine(err.Error())
	}
	s := oneLine(failed.Error())
	if said := a.words(failed.stderr); said != "" {
		s += ": " + said
	}
	return s
}

// words are the last line of what an issuer said, where that has no secrets.
func (a *Ask) words(stderr []byte) string {
	text := strings.TrimSpace(string(stderr))
	if baseName(a.path) != "kubecred-aws" || text == "" {
		return ""
	}
	said := a.withoutSecrets(strings.TrimPrefix(oneLine(text[strings.LastIndexByte(text, '\n')+1:]), "kubecred-aws: "))
	if len(said) > maxReason {
		said = said[:maxReason] + "..."
	}
	return strings.ToValidUTF8(said, "?")
}

// Journal returns the outcomes in the journal of a cache directory, oldest first.
// Lines that cannot be read are passed over; where there is none it is empty.
func Journal(dir string) ([]Outcome, error) {
	s, err := openStore(dir, false)
	if err != nil || s == nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	var out []Outcome
	for _, name := range []string{journalName + ".1", journalName} {
		f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_RDONLY|noFollow|nonBlock, 0)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if o, ok := decodeOutcome(lines.Bytes()); ok {
				out = append(out, o)
			}
		}
		_ = f.Close()
	}
	return out, nil
}
