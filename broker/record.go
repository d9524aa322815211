package broker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A record is a file of the cache: a first line that names its kind and has a hash
// over all that follows, lines of a name and a value, an empty line, and the payload.
//
//	kubecred entry 2 9be0...
//	key 5c1f...
//	created 1763784780000000000
//
//	{"token":...}
//
// The key stands inside too, so that a file under another's name is found out.

// recordVersion is that of the format; a file of another one is a miss.
const recordVersion = " 2 "

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
	for _, f := range all {
		b.WriteString(f.name)
		b.WriteByte(' ')
		b.WriteString(f.value)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.Write(payload)
	sum := sha256.Sum256(b.Bytes())
	return append([]byte("kubecred "+kind+recordVersion+hex.EncodeToString(sum[:])+"\n"), b.Bytes()...)
}

// openRecord takes a record apart, of which only a whole one passes.
func openRecord(kind string, data []byte) (head, payload []byte, err error) {
	rest := data
	for _, want := range [...]string{"kubecred ", kind, recordVersion} {
		if len(rest) < len(want) || string(rest[:len(want)]) != want {
			return nil, nil, errRecord
		}
		rest = rest[len(want):]
	}
	var sum [2 * sha256.Size]byte
	if len(data) > maxRecord || len(rest) <= len(sum) || rest[len(sum)] != '\n' {
		return nil, nil, errRecord
	}
	body := rest[len(sum)+1:]
	is := sha256.Sum256(body)
	hex.Encode(sum[:], is[:])
	head, payload, ok := bytes.Cut(body, []byte("\n\n"))
	if !ok || !bytes.Equal(sum[:], rest[:len(sum)]) {
		return nil, nil, errRecord
	}
	return head, payload, nil
}

// decodeRecord reads a record with its fields.
func decodeRecord(kind string, data []byte) (fields, []byte, error) {
	head, payload, err := openRecord(kind, data)
	if err != nil {
		return nil, nil, err
	}
	var all fields
	for line := range strings.SplitSeq(string(head), "\n") {
		name, value, ok := strings.Cut(line, " ")
		if !ok || name == "" || all.has(name) {
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
	issuer   []byte // for people: the command, secrets left out
	about    []byte // for people: what it is for
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
		{"issuer", oneLine(string(e.issuer))},
		{"about", oneLine(string(e.about))},
	}, e.payload)
}

// Entries are handed on by their address: with copies of them, the path of a warm
// call would outgrow the stack that a program starts with, and growing it costs
// more than reading the entry.

// lines are those of an entry's head, each a name and a value, read in the order in
// which they were written and without a copy.
type lines struct {
	rest []byte
	bad  bool
}

func (l *lines) next(name string) []byte {
	line, rest, _ := bytes.Cut(l.rest, []byte{'\n'})
	l.rest = rest
	if len(line) <= len(name) || string(line[:len(name)]) != name || line[len(name)] != ' ' {
		l.bad = true
		return nil
	}
	return line[len(name)+1:]
}

func (l *lines) number(name string, base int) uint64 {
	n, err := strconv.ParseUint(string(l.next(name)), base, 64)
	l.bad = l.bad || err != nil
	return n
}

func (l *lines) stamp(name string) time.Time {
	t, err := readStamp(string(l.next(name)))
	l.bad = l.bad || err != nil
	return t
}

// decodeEntry reads an entry; key is the one that it must be of, "" for any.
func decodeEntry(data []byte, key string) (*entry, error) {
	head, payload, err := openRecord("entry", data)
	if err != nil {
		return nil, err
	}
	l := lines{rest: head}
	is := l.next("key")
	if key == "" {
		key = string(is)
	}
	e := &entry{
		key: key, id: l.number("id", 16),
		created: l.stamp("created"), expires: l.stamp("expires"), until: l.stamp("until"), renew: l.stamp("renew"),
		refused: l.stamp("refused"), refusals: int(min(l.number("refusals", 10), math.MaxInt32)),
		speaks: string(l.next("speaks")), issuer: l.next("issuer"), about: l.next("about"), payload: payload,
	}
	if l.bad || len(l.rest) > 0 || key == "" || string(is) != key || e.created.IsZero() || e.until.IsZero() || len(payload) == 0 {
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
