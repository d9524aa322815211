package plainjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/kubecred/kubecred/internal/plainjson"
)

var samples = []string{
	``, ` `, `{`, `}`, `{}`, ` {} `, `[]`, `[1,2]`, `[1,]`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{"a":1,"a":2}`, `{"a":1}{"b":2}`, `{"a":1} x`,
	`0`, `-0`, `01`, `-`, `1.`, `1.5e+3`, `1e`, `1E-2`, `.5`, `+1`, `tru`, `true`, `truex`, `null`, `nul`, `false`, `"`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`,
	`"a\"b\\c\/d\b\f\n\r\tA"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dA"`, `"\ude00\ud83d"`, "\"\x01\"", "\"\xff\"", "\"\u2028<>&\x7f\"", "\ufeff{}",
	`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"cluster":{"server":"https://a", "config": {"x" : [1 , 2]}},"interactive":true}}`,
	strings.Repeat("[", 10001), strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat(`{"a":`, 10001) + "1" + strings.Repeat("}", 10001),
}

// check holds this package and encoding/json together.
func check(t *testing.T, text []byte) {
	t.Helper()
	if got, want := plainjson.Valid(text), json.Valid(text); got != want {
		t.Fatalf("Valid(%q) = %v, encoding/json says %v", text, got, want)
	}
	value, rest, err := plainjson.Value(text)
	dec := json.NewDecoder(bytes.NewReader(text))
	var raw json.RawMessage
	wantErr := dec.Decode(&raw)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Value(%q): %v, encoding/json says %v", text, err, wantErr)
	}
	if err != nil {
		var got *plainjson.SyntaxError
		var want *json.SyntaxError
		switch {
		case !errors.As(err, &got):
			t.Fatalf("%T", err)
		case errors.As(wantErr, &want) && int64(got.Offset) != want.Offset:
			t.Fatalf("Value(%q): %v, encoding/json says byte %d: %v", text, err, want.Offset, want)
		case (errors.Is(wantErr, io.EOF) || errors.Is(wantErr, io.ErrUnexpectedEOF)) && got.Offset != 0:
			t.Fatalf("Value(%q): %v, encoding/json says %v", text, err, wantErr)
		}
		return
	}
	if string(value) != string(raw) || string(rest) != string(text[dec.InputOffset():]) {
		t.Fatalf("Value(%q) = %q, %q; encoding/json says %q", text, value, rest, raw)
	}
	var small bytes.Buffer
	if err := json.Compact(&small, value); err != nil || string(plainjson.AppendCompact(nil, value)) != small.String() {
		t.Fatalf("AppendCompact(%q) = %q, want %q", value, plainjson.AppendCompact(nil, value), small.String())
	}
	checkString(t, value)
	checkObject(t, value)
}

func checkString(t *testing.T, value []byte) {
	got, ok := plainjson.String(value)
	if ok != (value[0] == '"') {
		t.Fatalf("String(%q): %v", value, ok)
	}
	if !ok {
		return
	}
	var want string
	if err := json.Unmarshal(value, &want); err != nil || got != want {
		t.Fatalf("String(%q) = %q, want %q", value, got, want)
	}
}

func checkObject(t *testing.T, value []byte) {
	members, ok := plainjson.Object(value)
	if ok != (value[0] == '{') {
		t.Fatalf("Object(%q): %v", value, ok)
	}
	if !ok {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		name, err := dec.Token()
		var raw json.RawMessage
		if err != nil || name != m.Name || dec.Decode(&raw) != nil || string(raw) != string(m.Raw) {
			t.Fatalf("Object(%q): %q %q, want %q %q", value, m.Name, m.Raw, name, raw)
		}
	}
	if dec.More() {
		t.Fatalf("Object(%q) has only %d members", value, len(members))
	}
}

func TestSamples(t *testing.T) {
	for _, s := range samples {
		check(t, []byte(s))
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range samples[:len(samples)-3] {
		f.Add([]byte(s))
	}
	f.Fuzz(check)
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "<>&\u2028\u2029\ufffd", "\xff\xc0\x80", "😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if got := plainjson.AppendString(nil, s); err != nil || string(got) != string(want) {
			t.Fatalf("%q becomes %s, want %s", s, got, want)
		}
	})
}

func TestError(t *testing.T) {
	for text, want := range map[string]string{`{"a":tru}`: "not valid JSON at byte 9", `{"a":`: "JSON ends too early"} {
		if _, _, err := plainjson.Value([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
