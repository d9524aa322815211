package broker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A record is a file of the cache: a first line that names its kind, lines of a
// name and a value, a hash over all of it, an empty line, and the payload.
//
//	kubecred entry 1
//	key 5c1f...
//	created 1763784780000000000
//	sum 9be0...
//
//	{"token":...}
//
// The key stands inside too, so that a file under another's name is found out.

// maxRecord bounds a file of the cache.
const maxRecord = 2 << 20

var errRecord = errors.New("broker: not a whole file of the cache")

type field struct{ name, value string }

// fields are those of a record; each name stands once.
type fields []field

// get returns the value of a field, "" where there is none.
func (fs fields) get(name string) string {
	for _, f := range fs {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

func (fs fields) has(name string) bool {
	return slices.ContainsFunc(fs, func(f field) bool { return f.name == name })
}

// encodeRecord writes a record. Values must not hold line breaks.
func encodeRecord(kind string, all fields, payload []byte) []byte {
	var b bytes.Buffer
	b.Grow(256 + len(payload))
	b.WriteString("kubecred " + kind + " 1\n")
	for _, f := range all {
		b.WriteString(f.name)
		b.WriteByte(' ')
		b.WriteString(f.value)
		b.WriteByte('\n')
	}
	sum := recordSum(b.Bytes(), payload)
	b.WriteString("sum " + sum + "\n\n")
	b.Write(payload)
	return b.Bytes()
}

func recordSum(head, payload []byte) string {
	h := sha256.New()
	h.Write(head)
	h.Write(payload)
	return hex.EncodeToString(h.Sum(nil))
}

// maxFields is more than any record has.
const maxFields = 16

// decodeRecord reads a record, of which only a whole one passes.
func decodeRecord(kind string, data []byte) (fields, []byte, error) {
	first := "kubecred " + kind + " 1\n"
	head, payload, ok := bytes.Cut(data, []byte("\n\n"))
	if !ok || len(data) > maxRecord || !bytes.HasPrefix(head, []byte(first)) {
		return nil, nil, errRecord
	}
	at := bytes.LastIndex(head, []byte("\nsum ")) + 1
	if at < len(first) || string(head[at+len("sum "):]) != recordSum(head[:at], payload) {
		return nil, nil, errRecord
	}
	all := make(fields, 0, maxFields)
	for rest := string(head[len(first):at]); rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		rest = after
		name, value, ok := strings.Cut(line, " ")
		if !ok || name == "" || len(all) == maxFields || all.has(name) {
			return nil, nil, errRecord
		}
		all = append(all, field{name, value})
	}
	return all, payload, nil
}

// entry is a credential in the cache.
type entry struct {
	key     string
	id      uint64    // of the credential, by its content
	created time.Time // when the issuer gave it
	expires time.Time // when it dies; zero where nobody knows
	until   time.Time // handed out before this moment only
	renew   time.Time // from here on one of those who ask renews it
	refused time.Time // when a refusal last made the issuer run; zero for never
	// refusals counts such runs without an expiry between them.
	refusals int
	speaks   string // the version that the issuer is to be asked in
	issuer   string // for people: the command, secrets left out
	about    string // for people: what it is for
	payload  []byte // in the form of the road
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(t.UnixNano(), 10)
}

func readStamp(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil || n < 0:
		return time.Time{}, errRecord
	case n == 0:
		return time.Time{}, nil
	}
	return time.Unix(0, n), nil
}

func (e *entry) encode() []byte {
	return encodeRecord("entry", fields{
		{"key", e.key},
		{"id", strconv.FormatUint(e.id, 16)},
		{"created", stamp(e.created)},
		{"expires", stamp(e.expires)},
		{"until", stamp(e.until)},
		{"renew", stamp(e.renew)},
		{"refused", stamp(e.refused)},
		{"refusals", strconv.Itoa(e.refusals)},
		{"speaks", e.speaks},
		{"issuer", oneLine(e.issuer)},
		{"about", oneLine(e.about)},
	}, e.payload)
}

// Entries are handed on by their address: with copies of them, the path of a warm
// call would outgrow the stack that a program starts with, and growing it costs
// more than reading the entry.

// decodeEntry reads an entry; key is the one that it must be of, "" for any.
func decodeEntry(data []byte, key string) (*entry, error) {
	all, payload, err := decodeRecord("entry", data)
	if err != nil {
		return nil, err
	}
	e := &entry{key: all.get("key"), speaks: all.get("speaks"), issuer: all.get("issuer"), about: all.get("about"), payload: payload}
	bad := false
	e.id, err = strconv.ParseUint(all.get("id"), 16, 64)
	bad = bad || err != nil
	e.refusals, err = strconv.Atoi(all.get("refusals"))
	bad = bad || err != nil
	stamp := func(name string) time.Time {
		t, err := readStamp(all.get(name))
		bad = bad || err != nil
		return t
	}
	e.created, e.expires = stamp("created"), stamp("expires")
	e.until, e.renew, e.refused = stamp("until"), stamp("renew"), stamp("refused")
	if bad || e.key == "" || key != "" && e.key != key || e.created.IsZero() || e.until.IsZero() || len(payload) == 0 {
		return nil, errRecord
	}
	return e, nil
}

// usable tells whether the entry may be handed out at now. One from the future
// may not: the clock was set back, and no time in it can be trusted.
func (e *entry) usable(now time.Time) bool {
	return !e.created.After(now.Add(clockSlack)) && now.Before(e.until)
}

// clockSlack is how far two clocks on one file system may differ.
const clockSlack = 2 * time.Second

// oneLine keeps a value on its line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
