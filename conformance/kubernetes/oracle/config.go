package main

import (
	"os"
	"strings"

	"k8s.io/kubernetes/pkg/credentialprovider/plugin"
)

type configQuestion struct {
	Path string `json:"path"`
}

// configAnswer holds the error with which the kubelet refuses the config, "" where
// it takes it.
type configAnswer struct {
	Refusal string `json:"refusal"`
}

// eachConfig registers configs with a folder of binaries that is empty. The
// kubelet loads and validates a config first and looks for binaries then, so a
// config that it takes fails there, and is never registered.
func eachConfig() error {
	empty, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(empty)
	return each(func(q configQuestion) configAnswer {
		err := plugin.RegisterCredentialProviderPlugins(q.Path, empty, nil, nil)
		switch {
		case err == nil:
			return configAnswer{Refusal: "oracle: registered without a binary"}
		case strings.HasPrefix(err.Error(), "plugin binary executable "), strings.HasPrefix(err.Error(), "error inspecting binary executable "):
			return configAnswer{}
		}
		return configAnswer{Refusal: err.Error()}
	})
}
