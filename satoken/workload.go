package satoken

import (
	"regexp"
	"strings"
)

// Workload is what owns a pod, as far as the pod's name tells.
type Workload struct {
	// Kind is Deployment, DaemonSet, StatefulSet, CronJob or Pod.
	Kind string
	Name string
}

// Names that controllers give: k8s.io/apimachinery pkg/util/rand makes suffixes
// of 5 letters, and hashes of up to 10, from an alphabet without vowels; a
// CronJob adds the minute of its schedule since 1970 (pkg/controller/cronjob).
var (
	cronPod     = regexp.MustCompile(`^(.+)-\d{8,10}(?:-\d+)?-[a-z0-9]{5}$`)
	replicaPod  = regexp.MustCompile(`^(.+)-([a-z0-9]{6,10})-([a-z0-9]{5})$`)
	suffixedPod = regexp.MustCompile(`^(.+)-([a-z0-9]{5})$`)
	ordinalPod  = regexp.MustCompile(`^(.+)-\d{1,4}$`)
	generated   = regexp.MustCompile(`^[bcdfghjklmnpqrstvwxz2456789]+$`)
)

// isGenerated tells a controller's hash or suffix from a word: it has none of
// the vowels, or at least a digit among its letters.
func isGenerated(s string) bool {
	return generated.MatchString(s) || strings.ContainsAny(s, "0123456789") && strings.Trim(s, "0123456789") != ""
}

// WorkloadOf derives the owner of a pod from the pod's name. A pod whose name
// tells nothing is its own owner; without a pod the account's name stands.
func WorkloadOf(account, pod, node string) Workload {
	if pod == "" {
		_, name, _ := strings.Cut(account, "/")
		return Workload{"", name}
	}
	if node != "" && strings.HasSuffix(pod, "-"+node) {
		return Workload{"Pod", pod} // a static pod: the kubelet adds the node's name
	}
	if m := cronPod.FindStringSubmatch(pod); m != nil {
		return Workload{"CronJob", m[1]}
	}
	if m := replicaPod.FindStringSubmatch(pod); m != nil && isGenerated(m[2]) && isGenerated(m[3]) {
		return Workload{"Deployment", m[1]}
	}
	if m := ordinalPod.FindStringSubmatch(pod); m != nil {
		return Workload{"StatefulSet", m[1]}
	}
	if m := suffixedPod.FindStringSubmatch(pod); m != nil && isGenerated(m[2]) {
		return Workload{"DaemonSet", m[1]}
	}
	return Workload{"Pod", pod}
}

// SameWorkload tells whether two pods may have the same owner: their names
// don't say otherwise.
func SameWorkload(a, b string) bool {
	x, y := WorkloadOf("", a, ""), WorkloadOf("", b, "")
	if x.Kind == "" || y.Kind == "" || x.Kind == "Pod" || y.Kind == "Pod" {
		return true
	}
	return x.Name == y.Name
}
