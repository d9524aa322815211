package imagecred

import (
	"strconv"
	"strings"
)

// Reason says in a line why the pattern does not match the target, "" where it
// does. A pattern that matches no image at all says that first.
func (p *Pattern) Reason(t *Target) string {
	return string(p.AppendReason(nil, t))
}

// AppendReason appends what [Pattern.Reason] returns to dst.
func (p *Pattern) AppendReason(dst []byte, t *Target) []byte {
	if p.Match(t) {
		return dst
	}
	switch {
	case len(p.labels) == 0:
		return append(dst, "the kubelet cannot parse the pattern"...)
	case t.n == 0:
		return append(dst, "the kubelet cannot read the image's host, so no pattern matches"...)
	case p.never != "":
		return append(dst, p.never...)
	case p.port != t.port:
		return p.appendPort(dst, t)
	case len(p.labels) != t.n:
		return p.appendCount(dst, t)
	}
	for i := range p.labels {
		if !p.labels[i].match(t.label(i)) {
			return p.appendLabel(dst, t, i)
		}
	}
	dst = append(dst, "the image's path "...)
	dst = strconv.AppendQuote(dst, t.path)
	dst = append(dst, " does not begin with the pattern's path "...)
	return strconv.AppendQuote(dst, p.path)
}

func (p *Pattern) appendPort(dst []byte, t *Target) []byte {
	switch {
	case p.port == "":
		dst = append(dst, "the image has port "...)
		dst = append(dst, t.port...)
		return append(dst, ", the pattern none: ports must be equal"...)
	case t.port == "":
		dst = append(dst, "the pattern has port "...)
		dst = append(dst, p.port...)
		return append(dst, ", the image none: ports must be equal"...)
	}
	dst = append(dst, "the pattern has port "...)
	dst = append(dst, p.port...)
	dst = append(dst, ", the image "...)
	return append(dst, t.port...)
}

func (p *Pattern) appendCount(dst []byte, t *Target) []byte {
	dst = append(dst, "the pattern's host has "...)
	dst = appendLabels(dst, len(p.labels))
	dst = append(dst, ", the image's "...)
	dst = strconv.AppendInt(dst, int64(t.n), 10)
	for i := range p.labels {
		if p.labels[i].kind != literal {
			return append(dst, ": a glob stands for exactly one label"...)
		}
	}
	return dst
}

func appendLabels(dst []byte, n int) []byte {
	dst = strconv.AppendInt(dst, int64(n), 10)
	if n == 1 {
		return append(dst, " label"...)
	}
	return append(dst, " labels"...)
}

func (p *Pattern) appendLabel(dst []byte, t *Target, i int) []byte {
	dst = append(dst, "label "...)
	dst = strconv.AppendInt(dst, int64(i+1), 10)
	dst = append(dst, " of the host is "...)
	dst = strconv.AppendQuote(dst, t.label(i))
	if strings.EqualFold(p.labels[i].text, t.label(i)) {
		dst = append(dst, ", the pattern spells it "...)
		dst = strconv.AppendQuote(dst, p.labels[i].text)
		return append(dst, ": case counts"...)
	}
	dst = append(dst, ", the pattern wants "...)
	return strconv.AppendQuote(dst, p.labels[i].text)
}
