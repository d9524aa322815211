package utf16text_test

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/kubecred/kubecred/internal/utf16text"
)

func encode(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, c)
	}
	return string(b)
}

func TestReader(t *testing.T) {
	const text = "{\"kind\":\"Event\"} \u65e5\u672c \U0001f511 and so on, mostly plain letters"
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, mark := range []string{"", "\ufeff"} {
			in := encode(mark+text, order)
			found := utf16text.Order([]byte(in))
			if found == nil {
				t.Fatalf("%s, mark %q: not known", order, mark)
			}
			got, err := io.ReadAll(utf16text.NewReader(iotest.OneByteReader(strings.NewReader(in)), found))
			if string(got) != mark+text || err != nil {
				t.Errorf("%s, mark %q: %q, %v", order, mark, got, err)
			}
			if _, err := io.ReadAll(utf16text.NewReader(strings.NewReader(in[:len(in)-1]), found)); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut within a character: %v", err)
			}
		}
	}
	for _, other := range []string{"", "a", text, "\x00\x00\x00\x00"} {
		if utf16text.Order([]byte(other)) != nil {
			t.Errorf("%q is taken for UTF-16", other)
		}
	}
	half, err := io.ReadAll(utf16text.NewReader(strings.NewReader("\x3d\xd8a\x00"), binary.LittleEndian))
	if string(half) != "\ufffda" || err != nil {
		t.Errorf("half a pair: %q, %v", half, err)
	}
}
