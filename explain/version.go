package explain

import (
	"cmp"
	"strconv"

	"github.com/kubecred/kubecred/internal/lazyexp"
)

var versionShape = lazyexp.New(`^v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,5}))?`)

// version is a version's first three numbers; what follows does not count.
type version [3]int

func parseVersion(s string) (version, bool) {
	m := versionShape().FindStringSubmatch(s)
	if m == nil {
		return version{}, false
	}
	var v version
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1])
	}
	return v, true
}

func (v version) compare(w version) int {
	return cmp.Or(cmp.Compare(v[0], w[0]), cmp.Compare(v[1], w[1]), cmp.Compare(v[2], w[2]))
}
