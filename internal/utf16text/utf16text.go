// Package utf16text reads text in UTF-16, as PowerShell's ">" and Windows' editors
// write it.
package utf16text

import (
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// Order tells the order of the bytes by the beginning of a text: by its mark, or
// where that is missing by the zeros that the letters of ASCII have. It is nil for
// other text.
func Order(head []byte) binary.ByteOrder {
	switch {
	case len(head) < 4:
		return nil
	case head[0] == 0xff && head[1] == 0xfe:
		return binary.LittleEndian
	case head[0] == 0xfe && head[1] == 0xff:
		return binary.BigEndian
	}
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i%2]++
		}
	}
	most := len(head) / 2 * 8 / 10
	switch {
	case zeros[1] > most && zeros[0] == 0:
		return binary.LittleEndian
	case zeros[0] > most && zeros[1] == 0:
		return binary.BigEndian
	}
	return nil
}

// Reader reads text in UTF-16 as UTF-8. Text that ends within a character ends
// with io.ErrUnexpectedEOF.
type Reader struct {
	r     io.Reader
	order binary.ByteOrder
	raw   []byte // read and not yet decoded are the first n
	n     int
	out   []byte // decoded and not yet handed on
	high  rune   // the first half of a pair, 0 for none
	err   error
}

// NewReader returns a Reader of r. The mark of the order, if there is one, is read
// as the character that it is, U+FEFF.
func NewReader(r io.Reader, order binary.ByteOrder) *Reader {
	return &Reader{r: r, order: order, raw: make([]byte, 32<<10)}
}

func (u *Reader) Read(p []byte) (int, error) {
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

func (u *Reader) decode() {
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
