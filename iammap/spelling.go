package iammap

import "strings"

// closest returns the known word that was meant by a word, and how it
// differs: "case" or "spelling"; "" where nothing is near.
func closest(word string, known []string) (string, string) {
	for _, k := range known {
		if strings.EqualFold(word, k) {
			return k, "case"
		}
	}
	plain := strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "", ".", "").Replace(word))
	for _, k := range known {
		if plain == strings.ToLower(k) {
			return k, "spelling"
		}
	}
	for _, k := range known {
		if near(plain, strings.ToLower(k)) {
			return k, "spelling"
		}
	}
	return "", ""
}

// near tells whether two different words are one slip apart: a letter left
// out, put in, changed, or two neighbours swapped.
func near(a, b string) bool {
	if a == b || len(a) > 512 || len(b) > 512 {
		return false
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	if a[i+1:] == b[i+1:] {
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
