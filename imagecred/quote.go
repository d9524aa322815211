package imagecred

import (
	"strconv"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

// quote puts a piece of somebody's file between quotes, shortened and on one line.
func quote(s string) string {
	const limit = 120
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "..."
	}
	return strconv.Quote(s)
}

// userinfo finds a user and password in front of a host.
var userinfo = lazyexp.New(`((?:^|[\s"'/]))[^\s"'/@:]*:[^\s"'/@]+@`)

// secretKey finds the fields whose values may be secrets.
var secretKey = lazyexp.New(`\b(args|env|value)\b["']?\s*:`)
