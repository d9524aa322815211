//go:build unix && !linux

package main

import "errors"

func keepAwake() (stop func(), err error) { return nil, errors.New("-awake needs Linux") }

func stayAwake() error { return nil }
