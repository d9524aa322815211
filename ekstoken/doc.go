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

import (
	"time"

	"github.com/kubecred/kubecred/ekstoken/age"
	"github.com/kubecred/kubecred/ekstoken/mint"
)

// Prefix stands before the base64 part of every token.
const Prefix = mint.Prefix

// ClusterHeader is the signed header that holds the cluster's name, or on
// Outposts its id.
const ClusterHeader = mint.ClusterHeader

const (
	// Life is how long STS takes a token, counted from its X-Amz-Date. STS does
	// not look at X-Amz-Expires in this call.
	Life = mint.Life
	// AnnouncedLife is what clients announce, a minute less.
	AnnouncedLife = mint.AnnouncedLife
	// MaxLen bounds a token in bytes. aws-iam-authenticator stops at 4096, which
	// long session tokens exceed.
	MaxLen = mint.MaxLen
	// MaxSkew is how far ahead of the reader's clock a token may be dated. STS
	// itself allows 5 minutes.
	MaxSkew = 5 * time.Minute
)

const (
	algorithm  = mint.Algorithm
	apiVersion = mint.APIVersion
	service    = mint.Service
	terminator = mint.Terminator
	dateFormat = mint.DateFormat
)

// Credentials are AWS credentials. SessionToken is empty for long-lived ones.
type Credentials = mint.Credentials

// Request says for which cluster, where and when a token is signed.
type Request = mint.Request

// Endpoint is a host of STS with what is known of it.
type Endpoint = mint.Endpoint

// Sign returns a token. It is deterministic: the same input gives the same
// token. The payload hash in the signature is that of the empty string, as for
// every presigned GetCallerIdentity.
func Sign(c Credentials, r Request) (string, error) { return mint.Sign(c, r) }

// SignedAt returns the X-Amz-Date of a token that need not pass [Parse]: of any
// host, and with any parameters. It is what a cache wants to know, which hands
// on tokens and calls nobody.
func SignedAt(token string) (time.Time, bool) { return age.SignedAt(token) }

// EndpointFor returns the STS endpoint of a region. A region of a known form
// that the table does not hold gets the host that its partition would give it.
func EndpointFor(region string, fips, dualStack bool) (Endpoint, error) {
	return mint.EndpointFor(region, fips, dualStack)
}

// GlobalEndpoint returns sts.amazonaws.com, whose signatures name us-east-1.
func GlobalEndpoint() Endpoint { return mint.GlobalEndpoint() }

// LookupHost returns the endpoint with exactly this host, without a port. Hosts
// of regions that the table does not know are unknown.
func LookupHost(host string) (Endpoint, bool) { return mint.LookupHost(host) }

// Regions returns the regions of a partition that the table knows, nil for a
// partition it does not know.
func Regions(partitionID string) []string { return mint.Regions(partitionID) }

// PartitionOf returns the partition that a region belongs to by its name, such
// as "aws-cn" for "cn-north-1", also for regions that are newer than the table.
// It is "" for a name that cannot be a region.
func PartitionOf(region string) string { return mint.PartitionOf(region) }
