package cluster

import (
	"time"
)

// Snapshot is what a cluster holds that decides over the tokens of its pods.
type Snapshot struct {
	// Name is the context's, or "in-cluster". Version is the API server's,
	// "v1.35.4", or "" where it would not say.
	Name, Version string
	// Pods are those that run or will, ordered by namespace and name. Finished
	// counts those that are over and hold no client any more.
	Pods     []Pod
	Finished int
	// Accounts are the service accounts by "namespace/name".
	Accounts map[string]Account
	// Secrets are the token secrets, ordered by namespace and name.
	// TrackedSince is the day from which the cluster notes their use, zero where
	// it does not say.
	Secrets      []LegacyToken
	TrackedSince time.Time
	// Metrics are the API server's own counts of old tokens, nil where they
	// could not be read.
	Metrics *Metrics
	// Denied are the places that could not be read.
	Denied []Denied
}

// Denied is a place that could not be read, and why.
type Denied struct {
	Resource  string // "pods", "secrets"
	Namespace string // "" for all of them
	Reason    string
}

// Pod is what is kept of a pod: some 500 bytes.
type Pod struct {
	Namespace, Name, UID, Node, Account string
	// Created is when the API server accepted it: no token bound to the pod is
	// older. Started is when the kubelet took it up, zero for a pod that waits.
	Created, Started time.Time
	Containers       []Container
	Tokens           []TokenVolume
	// Owner is what a person would name and restart: a Deployment, DaemonSet,
	// StatefulSet, CronJob, a kind that this program does not know, or the pod
	// itself. Above is what owns that, if anything does.
	Owner, Above Ref
	// Secrets are the names of token secrets that the pod uses.
	Secrets []string
}

// Container is one that runs now.
type Container struct {
	Name, Image string
	// Started is the start of the process that runs now, after any restart.
	Started time.Time
}

// TokenVolume is a service account token that the kubelet mounts and renews.
type TokenVolume struct {
	// Path is the file in the first container that mounts it.
	Path string
	// Audience is "" for the API server's own.
	Audience string
	Life     time.Duration
}

// The life and audience of the token that every pod gets, and the audiences of
// AWS (k8s.io/kubernetes plugin/pkg/admission/serviceaccount/admission.go,
// pkg/serviceaccount/claims.go; aws/amazon-eks-pod-identity-webhook).
const (
	DefaultLife         = 3607 * time.Second
	AudienceIRSA        = "sts.amazonaws.com"
	AudiencePodIdentity = "pods.eks.amazonaws.com"
)

// Extended tells whether the API server may lengthen the token's life beyond
// what the pod asked for: only that of the token which every pod gets.
func (v TokenVolume) Extended() bool { return v.Audience == "" && v.Life == DefaultLife }

// Ref names an object. Two are the same object when they are equal.
type Ref struct {
	Kind, APIVersion, Namespace, Name string
}

// String is "deployment/name" as kubectl takes it, "" for no object.
func (r Ref) String() string {
	if r.Kind == "" {
		return ""
	}
	return lower(r.Kind) + "/" + r.Name
}

// Account is what is kept of a service account.
type Account struct {
	UID string
	// RoleARN is the IAM role that IRSA's webhook acts upon, "" for none.
	RoleARN string
	secrets []string
}

// restartLag is the greatest age of a token file that a container can find at
// its start: the kubelet renews at 80 % of its life, and looks every minute or
// so (k8s.io/kubernetes pkg/kubelet/token/token_manager.go, requiresRefresh).
func restartLag(life time.Duration) time.Duration { return life*8/10 + 2*time.Minute }

// OldestToken is the earliest moment at which the token was issued that a
// container read when it started. It is the basis of a worst case: the token of
// a volume with that life which a client read once at its start is at most that
// old. Zero for a pod that has not started.
func (p Pod) OldestToken(life time.Duration) time.Time {
	var oldest time.Time
	for _, c := range p.Containers {
		if oldest.IsZero() || c.Started.Before(oldest) {
			oldest = c.Started
		}
	}
	if oldest.IsZero() {
		oldest = p.Started
	}
	if oldest.IsZero() {
		return oldest
	}
	if t := oldest.Add(-restartLag(life)); t.After(p.Created) {
		return t
	}
	return p.Created
}
