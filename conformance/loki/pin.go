//go:build pin

// Package pin keeps Loki in this module's go.mod.
package pin

import _ "github.com/grafana/loki/v3/cmd/loki"
