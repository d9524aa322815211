//go:build !linux

package main

import (
	"errors"

	"github.com/kubecred/kubecred/conformance/nodespec"
)

func mounts(nodespec.Spec) error { return errors.New("a node needs Linux") }
