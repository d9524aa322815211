// Package ekstoken makes and reads the tokens by which AWS identities log in to
// an EKS cluster: "k8s-aws-v1." and, in raw URL base64, the URL of a presigned
// sts:GetCallerIdentity in which the header x-k8s-aws-id, the cluster's name, is
// signed too. Who has the token can ask STS who signed it, for one cluster only.
//
// [Sign] makes a token from static credentials with nothing but the standard
// library. [Parse] makes every check that needs no network, as strictly as a
// server must before it lets a stranger choose which URL it calls; the rules are
// those of aws-iam-authenticator (pkg/token/token.go) and, beyond them, that the
// credential's scope fits the host and the date. [Token.CheckTime] judges the
// age.
//
// A [Token] is as good as a password while it lives. Its String and GoString
// leave the signature and the session token out.
package ekstoken

import "time"

// Prefix stands before the base64 part of every token.
const Prefix = "k8s-aws-v1."

// ClusterHeader is the signed header that holds the cluster's name, or on
// Outposts its id.
const ClusterHeader = "x-k8s-aws-id"

const (
	// Life is how long STS takes a token, counted from its X-Amz-Date. STS does
	// not look at X-Amz-Expires in this call.
	Life = 15 * time.Minute
	// AnnouncedLife is what clients announce, a minute less.
	AnnouncedLife = 14 * time.Minute
	// MaxLen bounds a token in bytes. aws-iam-authenticator stops at 4096, which
	// long session tokens exceed.
	MaxLen = 16 << 10
	// MaxSkew is how far ahead of the reader's clock a token may be dated. STS
	// itself allows 5 minutes.
	MaxSkew = 5 * time.Minute
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	apiVersion = "2011-06-15"
	service    = "sts"
	terminator = "aws4_request"
	dateFormat = "20060102T150405Z"
)
