// Package iammap answers who an AWS principal is in a Kubernetes cluster, and
// why: from an IAM ARN to a user name and groups.
//
// Mappings live in five places that know nothing of each other: the config
// file of aws-iam-authenticator, the aws-auth ConfigMap (YAML inside of YAML),
// IAMIdentityMapping objects, a dynamic JSON file, and the access entries of
// EKS. [Read] turns any of them into a [Source] of entries with positions that
// point into the file as a person sees it; [NewTable] puts sources in order;
// [Table.Lookup] finds the one entry that counts for an [Identity].
//
// The answer never depends on the order of a Go map. Sources are asked in the
// order in which they are given. Within a source an exact ARN comes before a
// pattern, a longer pattern before a shorter one, roles before users, and of
// two entries with one key the last one wins, as in the authenticator. A whole
// account (mapAccounts) comes last.
//
// What never matches is kept too. [Table.Explain] holds it against the ARN in
// question and says how near it came: a path in a role's ARN, another
// partition or account, one letter, another kind of principal. [Lint] says the
// same without a question.
//
// The rules are those of sigs.k8s.io/aws-iam-authenticator v0.7.18 (pkg/mapper,
// pkg/arn, pkg/server) except where docs/authenticator.md lists a difference
// that is meant.
package iammap
