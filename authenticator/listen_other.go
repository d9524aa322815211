//go:build !linux

package authenticator

import (
	"errors"
	"syscall"
)

func reusePort(_, _ string, _ syscall.RawConn) error {
	return errors.New("two servers on one address are possible on Linux only")
}
