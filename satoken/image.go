package satoken

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
)

// ImageOffender is a known offender as container images carry it. Images have
// versions of their own: FixedIn is the image's, not the offender's.
type ImageOffender struct {
	Offender
	FixedIn string
	Sources []string
}

//go:embed images.json
var imageData []byte

type imageMatcher struct {
	ImageOffender
	repository *regexp.Regexp
}

var imageOffenders = sync.OnceValue(func() []imageMatcher {
	var list []struct {
		Offender, Image, FixedIn string
		Sources                  []string
	}
	if err := json.Unmarshal(imageData, &list); err != nil {
		panic(err) // the data is part of the program and tested
	}
	var out []imageMatcher
	for _, e := range list {
		for _, o := range Offenders() {
			if o.Name == e.Offender {
				out = append(out, imageMatcher{ImageOffender{o, e.FixedIn, e.Sources}, regexp.MustCompile(e.Image)})
				break
			}
		}
	}
	return out
})

var tagVersion = regexp.MustCompile(`^(?:[a-z][a-z-]*-)?v?([0-9]+\.[0-9][0-9.]*)`)

// FindImageOffender returns the known offender that an image is of, or nil. sure
// tells that the version is a bad one: either all are, or the tag names one
// below that which mends it. An image of a good version is none.
func FindImageOffender(image string) (found *ImageOffender, sure bool) {
	repository, tag := splitImage(image)
	for i, m := range imageOffenders() {
		if !m.repository.MatchString(repository) {
			continue
		}
		o := &imageOffenders()[i].ImageOffender
		if o.FixedIn == "" {
			return o, true
		}
		version := tagVersion.FindStringSubmatch(tag)
		switch {
		case version == nil:
			return o, false
		case versionBelow(version[1], o.FixedIn):
			return o, true
		}
		return nil, false
	}
	return nil, false
}

// splitImage returns an image's repository, with its registry, and its tag; ""
// for one that has only a digest or nothing.
func splitImage(image string) (repository, tag string) {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i], image[i+1:]
	}
	return image, ""
}
