package main

import (
	"errors"
	"testing"

	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/util/parsers"
)

// matchQuestion is a pattern of matchImages and a pod's image. With raw, the
// image is compared as it is; otherwise it is normalised first.
type matchQuestion struct {
	Pattern string `json:"pattern"`
	Image   string `json:"image"`
	Raw     bool   `json:"raw"`
}

type matchAnswer struct {
	PatternError string `json:"patternError"` // of the validation of configs
	ImageError   string `json:"imageError"`   // InvalidImageName
	Repository   string `json:"repository"`
	Tag          string `json:"tag"`
	Digest       string `json:"digest"`
	Match        bool   `json:"match"`
}

func match(q matchQuestion) matchAnswer {
	var a matchAnswer
	if _, err := credentialprovider.ParseSchemelessURL(q.Pattern); err != nil {
		a.PatternError = err.Error()
	}
	a.Repository = q.Image
	if !q.Raw {
		var err error
		if a.Repository, a.Tag, a.Digest, err = parsers.ParseImageName(q.Image); err != nil {
			a.ImageError = err.Error()
			return a
		}
	}
	// isImageAllowed in pkg/credentialprovider/plugin/plugin.go drops the error, too.
	a.Match, _ = credentialprovider.URLsMatchStr(q.Pattern, a.Repository)
	return a
}

type timingQuestion struct {
	Patterns []string `json:"patterns"`
	Images   []string `json:"images"`
}

type timingAnswer struct {
	// Nanoseconds and Allocations are those of one image against all patterns.
	Nanoseconds float64 `json:"nanoseconds"`
	Allocations float64 `json:"allocations"`
}

// timing measures the kubelet's matching, which goes through the patterns of a
// provider (isImageAllowed in pkg/credentialprovider/plugin/plugin.go).
func timing(q timingQuestion) (timingAnswer, error) {
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			image := q.Images[i%len(q.Images)]
			i++
			for _, pattern := range q.Patterns {
				if matched, _ := credentialprovider.URLsMatchStr(pattern, image); matched {
					break
				}
			}
		}
	})
	if r.N == 0 {
		return timingAnswer{}, errors.New("nothing was measured")
	}
	return timingAnswer{float64(r.T.Nanoseconds()) / float64(r.N), float64(r.AllocsPerOp())}, nil
}
