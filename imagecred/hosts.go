package imagecred

import (
	"strings"
)

// hostLetters are what an image's host may be made of, besides dots. References
// take an underscore there, though DNS does not.
const hostLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// host judges the pattern's host.
func (j *judge) host() {
	labels := j.schemeless.hostLabels()
	host := strings.Join(labels, ".")
	if strings.HasPrefix(host, "[") {
		j.add(PatternFault{Code: codeNever, Never: true, Message: "an IPv6 address without a port: the kubelet reads its brackets as a set of characters"})
		return
	}
	if strings.Contains(host, ":") {
		return // an IPv6 address with a port, which is compared as text
	}
	if j.badLabel(labels) || j.dockerHub(labels, host) {
		return
	}
	if strings.ToLower(host) != host {
		j.newHost = strings.ToLower(host)
		j.add(PatternFault{Code: codeCase, Message: "upper case in the host: case counts, and images are written in lower case"})
		labels = strings.Split(j.newHost, ".")
	}
	if j.ecr(labels) {
		return
	}
	j.tooFew(labels)
}

// badLabel finds a label that no image's host has.
func (j *judge) badLabel(labels []string) bool {
	for i, l := range labels {
		switch {
		case l == "" && len(labels) == 1:
			j.add(PatternFault{Code: codeNever, Never: true, Message: "the pattern names no host"})
			return true
		case l == "":
			var kept []string
			for _, k := range labels {
				if k != "" {
					kept = append(kept, k)
				}
			}
			j.newHost = strings.Join(kept, ".")
			j.add(PatternFault{Code: codeNever, Never: true, Message: "an empty label in the host: " + emptyWhere(i, len(labels)) + ", which no image has"})
			return true
		case strings.Trim(l, hostLetters+"*") != "":
			j.add(PatternFault{Code: codeNever, Never: true, Message: "label " + quote(l) + " of the host holds what no image's host can hold; only * is a glob"})
			return true
		case strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-"):
			j.add(PatternFault{Code: codeNever, Never: true, Message: "label " + quote(l) + " begins or ends with a hyphen, which no image's host does"})
			return true
		}
	}
	return false
}

func emptyWhere(i, n int) string {
	switch i {
	case 0:
		return "it begins with a dot"
	case n - 1:
		return "it ends with a dot"
	}
	return "two dots meet"
}

// dockerHub finds the names of Docker Hub that images do not have.
func (j *judge) dockerHub(labels []string, host string) bool {
	switch host {
	case "index.docker.io":
		j.newHost = "docker.io"
		if j.newPath == "/v1/" || j.newPath == "/v2/" {
			j.newPath = ""
		}
		j.add(PatternFault{Code: codeDockerHub, Never: true, Message: "images of index.docker.io are called docker.io/... before they are matched"})
		return true
	case "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com", "docker.com":
		j.newHost = "docker.io"
		j.add(PatternFault{Code: codeDockerHub, Message: "images of Docker Hub are called docker.io/..., however their registry's host is called"})
		return true
	}
	if len(labels) == 1 && j.newPort == "" && labels[0] != "localhost" && !strings.Contains(labels[0], "*") && strings.ToLower(host) == host {
		// Without a dot or a port it is the beginning of a name at Docker Hub.
		path := j.newPath
		j.newHost, j.newPath = "docker.io", "/"+host+path
		if path == "" {
			j.newPath = "/library/" + host
		}
		j.renamed = true
		j.add(PatternFault{Code: codeNever, Never: true,
			Message: "the host " + quote(host) + " has no dot and no port, so no image is on it: such a name is one of docker.io"})
		return true
	}
	return false
}

// ecr judges a host that looks like one of ECR's; true where it spoke.
func (j *judge) ecr(labels []string) bool {
	h, ok := readECRHost(labels)
	if !ok {
		return j.ecrShort(labels)
	}
	known := false
	for _, f := range ecrForms {
		known = known || f.Suffix != "" && f.Suffix == h.suffix && f.DualStack == h.dualStack
	}
	switch {
	case h.region == "" || len(h.account) != 1:
		mended := h
		if !known && h.suffix == "" {
			mended.suffix = "amazonaws.com"
		}
		j.newHost = mended.mend()
		missing := "the region"
		if h.region != "" {
			missing = "one label for the account"
		}
		j.add(PatternFault{Code: codeLabels, Message: "matches no ECR host, which also has " + missing + ": a glob stands for exactly one label"})
	case !known && strings.Contains(h.suffix, "*"):
		j.ecrGlobSuffix(h)
	case !known || h.suffix != h.rightSuffix() && !strings.Contains(h.region, "*"):
		j.newHost = h.mend()
		j.add(PatternFault{Code: codePartition, Message: "no ECR host ends in " + quote(h.regionSuffix()) + ": the registry's hosts end in " + quote(h.rightSuffix())})
	case strings.Trim(h.account[0], "0123456789*") != "" || !strings.Contains(h.account[0], "*") && len(h.account[0]) != 12:
		j.newHost = ecrHost{service: h.service, region: h.region, suffix: h.suffix, dualStack: h.dualStack}.mend()
		j.add(PatternFault{Code: codePartition, Message: quote(h.account[0]) + " is no AWS account: an account has 12 digits"})
	default:
		return false
	}
	return true
}

// regionSuffix is the end of the host as it was written, with a region that was
// named in full.
func (h ecrHost) regionSuffix() string {
	if strings.Contains(h.region, "*") {
		return h.suffix
	}
	return h.region + "." + h.suffix
}

// ecrGlobSuffix judges a glob in the part after the region, which may well
// stand for a suffix of the same number of labels.
func (j *judge) ecrGlobSuffix(h ecrHost) {
	p, err := parseRest(strings.Join([]string{"*", h.service, "*", h.suffix}, "."))
	if err != nil {
		return
	}
	for _, f := range ecrForms {
		if t, err := NewTarget(f.Sample); err == nil && p.Match(&t) {
			return
		}
	}
	j.newHost = h.mend()
	j.add(PatternFault{Code: codePartition, Message: "no ECR host ends in " + quote(h.suffix) + ": a glob stands for exactly one label"})
}

// ecrShort judges a glob over the end of ECR's hosts, such as *.amazonaws.com.
func (j *judge) ecrShort(labels []string) bool {
	host := strings.Join(labels, ".")
	if !strings.Contains(host, "*") {
		return false
	}
	for _, f := range ecrForms {
		if f.Suffix == "" || !strings.HasSuffix(host, "."+f.Suffix) {
			continue
		}
		p, err := parseRest(host)
		t, terr := NewTarget(f.Sample)
		if err != nil || terr != nil || p.Match(&t) || f.Suffix == "amazonaws.com" && len(labels) == t.n && p.hostMatches(&t) {
			return false
		}
		if len(p.labels) == t.n {
			continue
		}
		j.newHost = f.Pattern
		j.add(PatternFault{Code: codeLabels, Message: "matches no ECR host: those have " + string(appendLabels(nil, t.n)) + ", and a glob stands for exactly one"})
		return true
	}
	return false
}

// tooFew finds patterns that were meant to match many hosts and match few.
func (j *judge) tooFew(labels []string) {
	n := 0
	for _, l := range labels {
		if strings.Trim(l, "*") == "" {
			n++
		}
	}
	switch {
	case n == 0 || j.newPort != "":
		return
	case len(labels) == 1:
		j.add(PatternFault{Code: codeLabels, Message: "matches only hosts of one label, such as localhost: a glob stands for exactly one label, never for a whole host"})
	case n == len(labels):
		j.add(PatternFault{Code: codeLabels, Message: "matches every host of " + string(appendLabels(nil, n)) + " and no other: each of them is asked for a credential, and may get one that is not its own"})
	case len(labels) == 2 && labels[0] == "*":
		j.add(PatternFault{Code: codeLabels, Message: "matches only hosts of two labels, such as " + quote("example."+labels[1]) + ": a glob stands for exactly one label"})
	}
}
