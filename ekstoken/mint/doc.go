// Package mint is the part of package ekstoken that makes tokens, for programs that start so often that what they link counts: it does
// without a reader of URLs. Everybody else finds it all in package ekstoken.
package mint

import (
	"time"

	"github.com/kubecred/kubecred/ekstoken/age"
)

// Prefix stands before the base64 part of every token.
const Prefix = age.Prefix

// ClusterHeader is the signed header that holds the cluster's name, or on
// Outposts its id.
const ClusterHeader = "x-k8s-aws-id"

const (
	// Life is how long STS takes a token, counted from its X-Amz-Date. STS does
	// not look at X-Amz-Expires in this call.
	Life = 15 * time.Minute
	// AnnouncedLife is what clients announce, a minute less.
	AnnouncedLife = age.AnnouncedLife
	// MaxLen bounds a token in bytes. aws-iam-authenticator stops at 4096, which
	// long session tokens exceed.
	MaxLen = age.MaxLen
)

// What a signature names.
const (
	Algorithm  = "AWS4-HMAC-SHA256"
	APIVersion = "2011-06-15"
	Service    = "sts"
	Terminator = "aws4_request"
	// DateFormat is that of X-Amz-Date.
	DateFormat = age.DateFormat
)
