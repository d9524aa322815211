package credapi

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubecred/kubecred/internal/plainjson"
)

// FieldError says what is wrong with a document, and where.
type FieldError struct {
	// Field is the path of the field, such as "status.token"; "" means the
	// document as a whole.
	Field string
	// Problem says what was found and what was expected. It holds no value that
	// might be secret.
	Problem string
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Problem
	}
	return e.Field + ": " + e.Problem
}

func fieldError(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// document checks that data is one JSON object with nothing after it, and
// returns its members.
func document(data []byte) ([]plainjson.Member, error) {
	if len(data) > MaxDocument {
		return nil, fieldError("", "larger than %d KiB", MaxDocument>>10)
	}
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 {
		return nil, fieldError("", "empty, want a JSON object")
	}
	if trimmed[0] != '{' {
		return nil, fieldError("", "not a JSON object: it begins with %q", rune(trimmed[0]))
	}
	raw, rest, err := plainjson.Value(data)
	if err != nil {
		return nil, syntaxError(err)
	}
	if rest := bytes.TrimSpace(rest); len(rest) > 0 {
		if rest[0] == '{' {
			return nil, fieldError("", "a second document after the first, want one")
		}
		return nil, fieldError("", "%d bytes after the JSON object, want none", len(rest))
	}
	return object(raw, "")
}

// syntaxError tells where JSON is broken without showing it.
func syntaxError(err error) error {
	var syntax *plainjson.SyntaxError
	if !errors.As(err, &syntax) {
		return fieldError("", "not valid JSON")
	}
	if syntax.Offset == 0 {
		return fieldError("", "not valid JSON: it ends too early")
	}
	return fieldError("", "not valid JSON at byte %d", syntax.Offset)
}

// object returns the members of a JSON object in order; path names it in errors.
func object(raw []byte, path string) ([]plainjson.Member, error) {
	if k := kindOf(raw); k != "an object" {
		return nil, fieldError(path, "want an object, is %s", k)
	}
	members, ok := plainjson.Object(raw)
	if !ok {
		return nil, fieldError(path, "not valid JSON")
	}
	if i := duplicate(members); i >= 0 {
		return nil, fieldError(join(path, members[i].Name), "given twice")
	}
	return members, nil
}

// duplicate returns the index of a member whose name stood before, or -1.
func duplicate(members []plainjson.Member) int {
	seen := make(map[string]bool, len(members))
	for i, m := range members {
		if seen[m.Name] {
			return i
		}
		seen[m.Name] = true
	}
	return -1
}

func join(path, name string) string {
	name = quoteName(name)
	if path == "" {
		return name
	}
	return path + "." + name
}

// quoteName keeps a foreign name on one line and short.
func quoteName(name string) string {
	plain := func(r rune) bool {
		return r == '-' || r == '_' || r == '.' || r == '/' || r == ':' || r == '*' ||
			r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
	}
	if name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return name
	}
	return fmt.Sprintf("%.64q", name)
}

// kindOf names the JSON type of a value as a person would.
func kindOf(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// text decodes a string; null counts as "", as it does in Kubernetes.
func text(raw []byte, path string) (string, error) {
	switch k := kindOf(raw); k {
	case "null":
		return "", nil
	case "a string":
		s, ok := plainjson.String(raw)
		if !ok {
			return "", fieldError(path, "not valid JSON")
		}
		return s, nil
	default:
		return "", fieldError(path, "want a string, is %s", k)
	}
}

// boolean decodes a boolean; null counts as false.
func boolean(raw []byte, path string) (bool, error) {
	switch k := kindOf(raw); k {
	case "null":
		return false, nil
	case "a boolean":
		return bytes.TrimSpace(raw)[0] == 't', nil
	default:
		return false, fieldError(path, "want a boolean, is %s", k)
	}
}

// moment decodes a time as metav1.Time does: RFC 3339, null for none.
func moment(raw []byte, path string) (time.Time, error) {
	s, err := text(raw, path)
	if err != nil || kindOf(raw) == "null" {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fieldError(path, "no RFC 3339 time, want one such as 2026-11-22T04:13:00Z")
	}
	return t.UTC(), nil
}

// unknown is the error for a name that the type does not have. Where the name
// is a known one but for its case, the error says so.
func unknown(path, name string, known ...string) error {
	if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) }); i >= 0 {
		return fieldError(join(path, name), "unknown field, it is spelled %s", known[i])
	}
	return fieldError(join(path, name), "unknown field, want one of %s", strings.Join(known, ", "))
}

// misspelt tells whether name is one of known but for its case.
func misspelt(name string, known ...string) bool {
	return slices.ContainsFunc(known, func(k string) bool { return k != name && strings.EqualFold(k, name) })
}

// header checks apiVersion and kind, which every document has.
func header(members []plainjson.Member, group, kind string) (apiVersion string, err error) {
	gotKind, haveKind := "", false
	haveVersion := false
	for _, m := range members {
		switch m.Name {
		case "apiVersion":
			haveVersion = true
			if apiVersion, err = text(m.Raw, "apiVersion"); err != nil {
				return "", err
			}
		case "kind":
			haveKind = true
			if gotKind, err = text(m.Raw, "kind"); err != nil {
				return "", err
			}
		default:
			if misspelt(m.Name, "apiVersion", "kind") {
				return "", unknown("", m.Name, "apiVersion", "kind")
			}
		}
	}
	if gotKind == "" && group == ExecGroup {
		gotKind, haveKind = kind, true // client-go decodes into an ExecCredential, whose kind stands in; nothing does for the version
	}
	switch {
	case !haveKind || gotKind == "":
		return "", fieldError("kind", "missing, want %s", kind)
	case gotKind != kind:
		return "", fieldError("kind", "is %.64q, want %s", gotKind, kind)
	case !haveVersion || apiVersion == "":
		return "", fieldError("apiVersion", "missing, want %s/v1, v1beta1 or v1alpha1", group)
	case !knownVersion(group, apiVersion):
		return "", fieldError("apiVersion", "is %.64q, want %s/v1, v1beta1 or v1alpha1", apiVersion, group)
	}
	return apiVersion, nil
}
