package imagecred

import (
	_ "crypto/sha256" // digests are checked with the algorithms that the kubelet links
	_ "crypto/sha512"
	"fmt"
	"strings"

	"github.com/distribution/reference"
)

// Ref is an image reference, normalised as the kubelet does it.
type Ref struct {
	// Image is the reference as it was written.
	Image string
	// Repository is what patterns are matched against and plugins are asked
	// about: the full name without tag and digest.
	Repository string
	// Tag is "latest" where the reference has neither tag nor digest.
	Tag, Digest string
}

// maxReference bounds a reference: a name has at most 255 characters, a tag
// 128, a digest some 140.
const maxReference = 4096

// ParseImage normalises an image reference (ParseImageName in
// pkg/util/parsers/parsers.go of k8s.io/kubernetes). A pod with a reference that
// fails here never leaves InvalidImageName.
func ParseImage(image string) (Ref, error) {
	if len(image) > maxReference {
		return Ref{}, fmt.Errorf("couldn't parse image name %q...: longer than %d characters", image[:64], maxReference)
	}
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return Ref{}, fmt.Errorf("couldn't parse image name %q: %w", image, err)
	}
	r := Ref{Image: image, Repository: named.Name()}
	if tagged, ok := named.(reference.Tagged); ok {
		r.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		r.Digest = digested.Digest().String()
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r, nil
}

// Path is the repository without its registry.
func (r Ref) Path() string {
	_, p, _ := strings.Cut(r.Repository, "/")
	return p
}
