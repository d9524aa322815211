// Package imagecred knows what a kubelet does with its image credential
// providers: how it loads and validates their configuration, which images it
// asks which provider about, and what becomes of the answers.
//
// # Configuration
//
// [Load] reads a file or a directory as --image-credential-provider-config
// does, strictly, and says of every fault where it stands, whether a kubelet
// would start with it, and in which words it would refuse. [Lint] goes further:
// a pattern that is valid and never matches anything, or matches more than was
// meant, is found there and not by a pod's 401.
//
// # Matching
//
// A provider is asked when one of its matchImages patterns matches the image's
// repository. The kubelet parses pattern and image anew each time; a [Pattern]
// is compiled once and a [Target] parsed once, and matching one against the
// other allocates nothing. [Pattern.Reason] says why a pattern did not match.
//
// What counts as the truth is the code of Kubernetes 1.35: the files
// pkg/credentialprovider/keyring.go and pkg/credentialprovider/plugin/config.go
// of k8s.io/kubernetes. What differs between versions is data, see [Knows].
package imagecred
