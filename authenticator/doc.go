// Package authenticator is a webhook that the API server asks who a token is.
//
// [New] makes an http.Handler for TokenReview (authentication.k8s.io v1 and
// v1beta1) that others can mount; [Serve] runs one over TLS with health,
// readiness, metrics and a graceful end. A review goes through
//
//	token -> checks -> cache -> limits -> STS -> mapping -> user and groups
//
// The cache keeps who STS said a token is, by the token's SHA-256 hash, for no
// longer than the token lives. What that means in the cluster is looked up
// anew for each review, so a changed mapping counts at once.
//
// Mappings come from [Feed]s. A state of a source that could not be read whole
// never replaces one that was; the last good one stays, and a log line and a
// metric say why.
//
// Whoever holds a token decides which regional STS endpoint is asked, within
// the configured partition and regions, and nothing else: see
// ekstoken/verify. The host is part of what a token's signature covers, so a
// token for one region can not be taken to another when its endpoint is down;
// the circuit breakers are therefore one for each endpoint, and trouble in one
// region leaves the tokens of the others alone.
package authenticator
