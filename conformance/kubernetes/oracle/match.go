package main

import (
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
