package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// ErrNothingReadable says that no pod may be listed anywhere.
var ErrNothingReadable = errors.New("listing pods is forbidden")

// Client reads one cluster.
type Client struct {
	// Name is how reports call the cluster.
	Name string
	kube *kube
	meta metadata.Interface
	// The same without a bound for the whole of an answer, for streams.
	streamKube *kube
	streamMeta metadata.Interface
}

// Connect makes a client. It sends nothing yet.
func Connect(o Options) (*Client, error) {
	config, name, err := Config(o)
	if err != nil {
		return nil, err
	}
	return newClient(config, name)
}

func newClient(config *rest.Config, name string) (*Client, error) {
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	endless := rest.CopyConfig(config)
	endless.Timeout = 0
	streamMeta, err := metadata.NewForConfig(endless)
	if err != nil {
		return nil, err
	}
	// Protobuf is a third of the bytes and a tenth of the decoding.
	config = rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	typed, err := newKube(config)
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.Timeout = 0
	streamKube, err := newKube(config)
	if err != nil {
		return nil, err
	}
	return &Client{Name: name, kube: typed, meta: meta, streamKube: streamKube, streamMeta: streamMeta}, nil
}

var (
	namespaceResource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	podResource       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// reader is one reading of a cluster.
type reader struct {
	*Client
	namespaces []string // asked for; none for all
	found      []string // of the cluster, once they were needed
	out        Snapshot
	owners     map[string]owned // by uid
	words      map[string]string
	noStream   bool // streams were tried, and are not to be had
}

// Read takes a snapshot: of the namespaces named, or of all. What it may not
// read is in Denied; it fails where no pod can be read at all.
func (c *Client) Read(ctx context.Context, namespaces []string) (Snapshot, error) {
	r := &reader{Client: c, namespaces: namespaces, owners: map[string]owned{}, words: map[string]string{}}
	r.out = Snapshot{Name: c.Name, Accounts: map[string]Account{}}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"the version", r.version},
		{"the owners", r.readOwners},
		{"the service accounts", r.readAccounts},
		{"the token secrets", r.readSecrets},
		{"the pods", r.readPods},
		{"the metrics", r.readMetrics},
	} {
		if err := step.do(ctx); err != nil {
			return Snapshot{}, explain(err, step.what, c.Name)
		}
	}
	if len(r.out.Pods) == 0 && r.out.Finished == 0 && r.podsDenied() {
		if len(namespaces) > 0 {
			return Snapshot{}, fmt.Errorf("%w in %s: bind the rights that 'kubecred tokens list --print-rbac' prints", ErrNothingReadable, strings.Join(namespaces, ", "))
		}
		return Snapshot{}, fmt.Errorf("%w in every namespace: name one with --namespace, or bind the rights that 'kubecred tokens list --print-rbac' prints", ErrNothingReadable)
	}
	return r.out, nil
}

// podsDenied tells whether pods could be listed nowhere.
func (r *reader) podsDenied() bool {
	denied := 0
	for _, d := range r.out.Denied {
		if d.Resource == "pods" {
			if d.Namespace == "" {
				return true
			}
			denied++
		}
	}
	tried := len(r.namespaces)
	if tried == 0 {
		tried = len(r.found)
	}
	return denied > 0 && denied == tried
}

// version asks something cheap first, so that a wrong address or credential
// gives one clear error.
func (r *reader) version(ctx context.Context) error {
	body, err := r.kube.core.client.Get().AbsPath("/version").Do(ctx).Raw()
	if refused(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r.out.Version = gitVersion(body)
	return nil
}

// word returns one copy of a string that many objects have.
func (r *reader) word(s string) string {
	if w, ok := r.words[s]; ok {
		return w
	}
	// A decoded object's strings may share one large buffer.
	s = strings.Clone(s)
	r.words[s] = s
	return s
}

func lower(s string) string { return strings.ToLower(s) }

func comparePods(a, b Pod) int {
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

func sortPods(pods []Pod) { slices.SortFunc(pods, comparePods) }
