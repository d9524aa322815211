package plainjson

import "unicode/utf8"

// AppendString appends a string as encoding/json writes it: <, > and & too are
// escaped, and what is no UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(b, `\ufffd`...)
			case r == '\u2028', r == '\u2029':
				b = append(b, `\u202`...)
				b = append(b, digits[r&0xf])
			default:
				b = append(b, s[i:i+n]...)
			}
			i += n
			continue
		}
		i++
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '<', '>', '&':
			b = append(b, `\u00`...)
			b = append(b, digits[c>>4], digits[c&0xf])
		default:
			if c < ' ' {
				b = append(b, `\u00`...)
				b = append(b, digits[c>>4], digits[c&0xf])
				continue
			}
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// AppendCompact appends a valid JSON value without the white space between its
// parts.
func AppendCompact(b, value []byte) []byte {
	inside := false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case inside && c == '\\':
			b = append(b, c)
			i++
			c = value[i]
		case c == '"':
			inside = !inside
		case !inside && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			continue
		}
		b = append(b, c)
	}
	return b
}
