package auditlog

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a zstd file may ask for. zstd -19 asks for
// 8 MiB, --ultra -22 for 128 MiB.
const maxWindow = 32 << 20

// unpack undoes the compression that the first bytes tell of.
func unpack(r io.Reader) (io.Reader, func(), error) {
	none := func() {}
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(peeked)
	if err != nil && len(head) == 0 && !errors.Is(err, io.EOF) {
		return nil, none, err
	}
	switch kind := packing(head); kind {
	case "gzip":
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, none, unpackError("gzip", err)
		}
		return named{z, "gzip"}, func() { z.Close() }, nil
	case "zstd":
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, none, unpackError("zstd", err)
		}
		return named{z, "zstd"}, z.Close, nil
	case "bzip2":
		return named{bzip2.NewReader(br), "bzip2"}, none, nil
	case "snappy":
		return named{snappy.NewReader(br), "snappy"}, none, nil
	default:
		if err := foreign(kind); err != nil {
			return nil, none, err
		}
	}
	return br, none, nil
}

// named says in its errors which compression failed.
type named struct {
	io.Reader
	kind string
}

func (n named) Read(p []byte) (int, error) {
	k, err := n.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = unpackError(n.kind, err)
	}
	return k, err
}

func unpackError(kind string, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("the %s data ends too early: %w", kind, io.ErrUnexpectedEOF)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("zstd data that needs more than %d MiB of memory: unpack it with zstd -d --long=31 first", maxWindow>>20)
	}
	return fmt.Errorf("the %s data is damaged: %w", kind, err)
}
