package auditlog

import (
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// utf16Order tells the order of the bytes of text in UTF-16, as PowerShell's ">"
// and Windows' editors write it: by its mark, or where that is missing by the
// zeros in the first characters. It is nil for other text.
func utf16Order(head []byte) binary.ByteOrder {
	if len(head) < 4 {
		return nil
	}
	ascii := func(b byte) bool { return b >= ' ' && b < 0x7f || b == '\n' || b == '\r' || b == '\t' }
	switch {
	case head[0] == 0xff && head[1] == 0xfe, head[1] == 0 && head[3] == 0 && ascii(head[0]) && ascii(head[2]):
		return binary.LittleEndian
	case head[0] == 0xfe && head[1] == 0xff, head[0] == 0 && head[2] == 0 && ascii(head[1]) && ascii(head[3]):
		return binary.BigEndian
	}
	return nil
}

// utf16Reader reads text in UTF-16 as UTF-8.
type utf16Reader struct {
	r     io.Reader
	order binary.ByteOrder
	raw   []byte // read and not yet decoded are the first n
	n     int
	out   []byte // decoded and not yet handed on
	high  rune   // the first half of a pair, 0 for none
	err   error
}

func newUTF16(r io.Reader, head []byte) *utf16Reader {
	return &utf16Reader{r: r, order: utf16Order(head), raw: make([]byte, 32<<10)}
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		n, err := u.r.Read(u.raw[u.n:])
		u.n += n
		if u.err = err; errors.Is(err, io.EOF) && u.n%2 == 1 {
			u.err = io.ErrUnexpectedEOF
		}
		u.decode()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

func (u *utf16Reader) decode() {
	u.out = u.out[:0]
	raw := u.raw[:u.n]
	for ; len(raw) >= 2; raw = raw[2:] {
		c := rune(u.order.Uint16(raw))
		if u.high != 0 {
			if pair := utf16.DecodeRune(u.high, c); pair != utf8.RuneError {
				u.out, u.high = utf8.AppendRune(u.out, pair), 0
				continue
			}
			u.out, u.high = utf8.AppendRune(u.out, utf8.RuneError), 0
		}
		if c >= 0xd800 && c < 0xdc00 {
			u.high = c
			continue
		}
		u.out = utf8.AppendRune(u.out, c) // the other half alone becomes U+FFFD
	}
	u.n = copy(u.raw, raw)
}
