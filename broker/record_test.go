package broker

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func anEntry() *entry {
	at := time.Unix(1795320000, 5)
	return &entry{
		key: "client-k", id: 1, created: at, expires: at.Add(time.Hour), until: at.Add(time.Minute), renew: at,
		refused: at, refusals: 2, speaks: "v1beta1", issuer: []byte("aws eks get-token"), payload: []byte(`{"token":"t"}`),
	}
}

func TestEntryRoundTrip(t *testing.T) {
	for _, e := range []*entry{anEntry(), {key: "k", created: time.Unix(1, 0), until: time.Unix(2, 0), payload: []byte("\n\nsum x\n\n")}} {
		got, err := decodeEntry(e.encode(), e.key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got, cmp.AllowUnexported(entry{}), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		if _, err := decodeEntry(e.encode(), "other"); err == nil {
			t.Error("it passes for another key's")
		}
	}
}

// No part of an entry can be lost or changed without being noticed.
func TestEntryIsWholeOrNothing(t *testing.T) {
	data := anEntry().encode()
	for i := range data {
		if _, err := decodeEntry(data[:i], ""); err == nil {
			t.Fatalf("cut at %d it passes", i)
		}
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if _, err := decodeEntry(changed, ""); err == nil {
			t.Fatalf("changed at %d it passes", i)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(anEntry().encode())
	f.Add([]byte("kubecred entry 2 \n\n"))
	f.Add(encodeRecord("entry", []field{{"key", "k"}}, []byte("x")))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Also with a right sum, or the fuzzer never gets past it.
		for _, d := range [][]byte{data, encodeRecord("entry", []field{{"key", "k"}, {"id", "1"}, {"created", oneLine(string(data))}}, data)} {
			e, err := decodeEntry(d, "")
			if err == nil && !bytes.HasSuffix(d, e.payload) {
				t.Fatalf("%q", d)
			}
		}
	})
}

// Whoever was noted last under a process is found, whatever else is in the list.
func TestServedList(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := &store{dir}
		s.remove("client-k", servedSuffix)
		who := rapid.Custom(func(t *rapid.T) process {
			return process{rapid.IntRange(1, 300).Draw(t, "pid"), rapid.Uint64Range(0, 3).Draw(t, "start")}
		})
		at := time.Unix(1795320000, 0)
		for range rapid.IntRange(1, 300).Draw(t, "n") {
			at = at.Add(time.Second)
			want := serving{who: who.Draw(t, "who"), id: rapid.Uint64().Draw(t, "id"), at: at}
			l := s.openServed("client-k", want.who)
			l.note(want)
			l.close()
			l = s.openServed("client-k", want.who)
			got, ok := l.find(want.who)
			l.close()
			if !ok || got.id != want.id || !got.at.Equal(at) {
				t.Fatalf("%+v, want %+v", got, want)
			}
			if info, err := os.Stat(s.path("client-k", servedSuffix)); err != nil || info.Size() > slotCount*slotSize {
				t.Fatalf("%v, %v", info, err)
			}
		}
	})
	if _, ok := new(slots).find(process{}); ok {
		t.Error("an empty slot counts")
	}
	s := &store{dir}
	if err := os.WriteFile(s.path("client-k", servedSuffix), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := s.openServed("client-k", process{1, 2})
	defer l.close()
	if _, ok := l.find(process{1, 2}); ok {
		t.Error("a short list counts")
	}
}

// No two questions have one key unless everything about them is the same.
func TestKeys(t *testing.T) {
	b := &Broker{Environ: []string{"A=1"}}
	seen := map[string]string{}
	for name, key := range map[string]string{
		"base":           b.key("client", "/bin/aws", []string{"a", "b"}, ""),
		"args joined":    b.key("client", "/bin/aws", []string{"ab"}, ""),
		"args shifted":   b.key("client", "/bin/aws", []string{"a"}, "b"),
		"arg in issuer":  b.key("client", "/bin/awsa", []string{"b"}, ""),
		"cluster":        b.key("client", "/bin/aws", []string{"a", "b"}, `{"server":"x"}`),
		"road":           b.key("image", "/bin/aws", []string{"a", "b"}, ""),
		"variable":       (&Broker{Environ: []string{"A=2"}}).key("client", "/bin/aws", []string{"a", "b"}, ""),
		"other variable": (&Broker{Environ: []string{"A=1", "AWS_PROFILE="}}).key("client", "/bin/aws", []string{"a", "b"}, ""),
	} {
		if other, ok := seen[key]; ok {
			t.Errorf("%s and %s have one key", name, other)
		}
		seen[key] = name
	}
	base := b.key("client", "/bin/aws", []string{"a", "b"}, "")
	for _, environ := range [][]string{{"A=1", "SHLVL=3"}, {"TERM_PROGRAM=x", "A=1"}, {"INVOCATION_ID=1", "A=1", "KUBERNETES_EXEC_INFO={}"}} {
		if (&Broker{Environ: environ}).key("client", "/bin/aws", []string{"a", "b"}, "") != base {
			t.Errorf("%v counts", environ)
		}
	}
	if (&Broker{Environ: []string{"A=1", "SHLVL=3"}, Key: KeyOptions{Env: []string{"SHLVL"}}}).key("client", "/bin/aws", []string{"a", "b"}, "") == base {
		t.Error("--key-env does not count")
	}
	if (&Broker{Environ: []string{"A=7"}, Key: KeyOptions{IgnoreEnv: []string{"A*"}}}).key("client", "/bin/aws", []string{"a", "b"}, "") ==
		(&Broker{Environ: []string{"B=7"}, Key: KeyOptions{IgnoreEnv: []string{"A*"}}}).key("client", "/bin/aws", []string{"a", "b"}, "") {
		t.Error("--ignore-env ignores more than it should")
	}
	if !isKey(base) || isKey("client-x") || isKey("../"+base) {
		t.Error("isKey")
	}
}

func TestPublic(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"token", "--cluster-name", "demo"}, "x token --cluster-name demo"},
		{[]string{"get-token", "--oidc-client-secret=abc", "--client-id", "i"}, "x get-token --oidc-client-secret=... --client-id i"},
		{[]string{"--password", "abc", "y"}, "x --password ... y"},
		{[]string{"--token-only", "y"}, "x --token-only y"},
		{[]string{"TOKEN=abc"}, "x TOKEN=..."},
		{[]string{"a\nb"}, "x a b"},
	} {
		if got := public("x", tt.args); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
