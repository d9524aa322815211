//go:build pin

// Package pin keeps aws-iam-authenticator in this module's go.mod: the server
// that kubecred's is held against.
package pin

import _ "sigs.k8s.io/aws-iam-authenticator/cmd/aws-iam-authenticator"
