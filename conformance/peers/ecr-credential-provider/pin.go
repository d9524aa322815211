//go:build pin

// Package pin keeps ecr-credential-provider in this module's go.mod.
package pin

import _ "k8s.io/cloud-provider-aws/cmd/ecr-credential-provider"
