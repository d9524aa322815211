// Package browser tries the HTML report in a real Chromium: what a person sees,
// filters and follows, on a desk and on a phone, and that the page asks the
// network for nothing.
package browser
