//go:build !linux

package main

import "errors"

func mounts(spec) error { return errors.New("a node needs Linux") }
