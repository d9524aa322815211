package cluster

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// LegacyToken is a service account token in a secret: one without an end.
type LegacyToken struct {
	Namespace, Name string
	// Account is the service account's name. AccountGone tells that there is no
	// such account, or another one of the same name.
	Account     string
	AccountGone bool
	// Unknown tells that service accounts could not be read, so that neither
	// AccountGone nor Auto says anything.
	Unknown bool
	Created time.Time
	// LastUsed and InvalidSince are days, zero for never.
	LastUsed, InvalidSince time.Time
	// Auto tells that Kubernetes made the secret (before 1.24): its account
	// lists it. The cleaner touches only these.
	Auto bool
	// Mounted tells that a pod uses it.
	Mounted bool
}

// What Kubernetes writes on the secrets (k8s.io/kubernetes
// pkg/serviceaccount/legacy.go) and where it notes since when it does
// (pkg/controlplane/controller/legacytokentracking).
const (
	lastUsedLabel     = "kubernetes.io/legacy-token-last-used"
	invalidSinceLabel = "kubernetes.io/legacy-token-invalid-since"
	trackingConfigMap = "kube-apiserver-legacy-service-account-token-tracking"
	trackingKey       = "since"
	roleARNAnnotation = "eks.amazonaws.com/role-arn"
)

var secretResource = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

func (r *reader) readAccounts(ctx context.Context) error {
	return r.each(ctx, "serviceaccounts", metav1.ListOptions{}, listing{page: func(ctx context.Context, ns string, o metav1.ListOptions) (string, error) {
		var list corev1.ServiceAccountList
		err := r.kube.core.list(ctx, "serviceaccounts", ns, o, &list)
		if err != nil {
			return "", err
		}
		for i := range list.Items {
			a := &list.Items[i]
			kept := Account{UID: string(a.UID), RoleARN: a.Annotations[roleARNAnnotation]}
			for _, s := range a.Secrets {
				kept.secrets = append(kept.secrets, s.Name)
			}
			r.out.Accounts[a.Namespace+"/"+a.Name] = kept
		}
		return list.Continue, nil
	}})
}

// readSecrets reads the metadata of token secrets: the selector lets the API
// server leave out all others, and metadata lets it keep the tokens.
func (r *reader) readSecrets(ctx context.Context) error {
	list := metadataLister(r.meta.Resource(secretResource), func(m *metav1.PartialObjectMetadata) {
		if m.DeletionTimestamp != nil {
			return
		}
		s := LegacyToken{
			Namespace: m.Namespace, Name: m.Name, Created: m.CreationTimestamp.UTC(),
			Account:      m.Annotations[corev1.ServiceAccountNameKey],
			LastUsed:     day(m.Labels[lastUsedLabel]),
			InvalidSince: day(m.Labels[invalidSinceLabel]),
		}
		if s.Unknown = r.accountsDenied(m.Namespace); !s.Unknown {
			account, ok := r.out.Accounts[s.Namespace+"/"+s.Account]
			uid := m.Annotations[corev1.ServiceAccountUIDKey]
			s.AccountGone = !ok || uid != "" && uid != account.UID
			s.Auto = !s.AccountGone && slices.Contains(account.secrets, s.Name)
		}
		r.out.Secrets = append(r.out.Secrets, s)
	})
	o := metav1.ListOptions{FieldSelector: "type=" + string(corev1.SecretTypeServiceAccountToken)}
	if err := r.each(ctx, "secrets", o, listing{page: list}); err != nil {
		return err
	}
	slices.SortFunc(r.out.Secrets, func(a, b LegacyToken) int {
		return comparePods(Pod{Namespace: a.Namespace, Name: a.Name}, Pod{Namespace: b.Namespace, Name: b.Name})
	})
	if len(r.out.Secrets) == 0 {
		return nil
	}
	var m corev1.ConfigMap
	err := r.kube.core.get(ctx, "configmaps", metav1.NamespaceSystem, trackingConfigMap, &m)
	switch {
	case err == nil:
		r.out.TrackedSince = day(m.Data[trackingKey])
	case apierrors.IsForbidden(err):
		r.deny("configmaps/"+trackingConfigMap, metav1.NamespaceSystem, err)
	case !refused(err):
		return err
	}
	return nil
}

func (r *reader) accountsDenied(namespace string) bool {
	return slices.ContainsFunc(r.out.Denied, func(d Denied) bool {
		return d.Resource == "serviceaccounts" && (d.Namespace == "" || d.Namespace == namespace)
	})
}

// day reads a label's date; zero for none and for one that is malformed, which
// is how the cleaner takes it too.
func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// CleanUpPeriod is how long an unused token is left alone by default
// (--legacy-service-account-token-clean-up-period of the controller manager).
const CleanUpPeriod = 365 * 24 * time.Hour

// Fate says what Kubernetes will do with a token secret if nobody touches it:
// from Invalid on the API server refuses the token, from Deleted on the secret
// is gone, each at the cleaner's next daily round. Zero where that will not
// happen; Why says why not, and is "" where it will.
type Fate struct {
	Invalid, Deleted time.Time
	Why              string
}

// FateOf computes what the cleaner will do, by the rules of
// k8s.io/kubernetes pkg/controller/serviceaccount/legacy_serviceaccount_token_cleaner.go:
// it takes only tokens that Kubernetes made itself, that no pod mounts and that
// were not used for the period, and not before it watched for that long.
func FateOf(s LegacyToken, trackedSince time.Time, period time.Duration) Fate {
	const oneDay = 24 * time.Hour
	invalid := s.InvalidSince
	switch {
	case s.Unknown:
		return Fate{Invalid: invalid, Why: "whether Kubernetes made it is not known: service accounts could not be read"}
	case s.AccountGone:
		return Fate{Why: "its service account is gone, and the token with it"}
	case !s.Auto:
		return Fate{Invalid: invalid, Why: "a person made it: Kubernetes leaves it alone"}
	case s.Mounted:
		return Fate{Invalid: invalid, Why: "a pod uses it: Kubernetes leaves it alone"}
	case trackedSince.IsZero():
		return Fate{Invalid: invalid, Why: "the cluster does not note when tokens are used"}
	}
	// Each of these must have passed; the cleaner compares days.
	from := latest(trackedSince.Add(oneDay+period), s.Created.Add(period))
	if !s.LastUsed.IsZero() {
		from = latest(from, s.LastUsed.Add(oneDay+period))
	}
	if invalid.IsZero() {
		invalid = from
	}
	return Fate{Invalid: invalid, Deleted: latest(from, dayOf(invalid).Add(oneDay+period))}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
