//go:build unix

package lab

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Habit is how a program treats the token file in its pod.
type Habit int

const (
	// ReadsOnce programs use the token that they started with to the end.
	ReadsOnce Habit = iota
	// ReadsAgain programs take a new token whenever the kubelet wrote one.
	ReadsAgain
	// ReadsWhenRefused programs take a new one after a 401.
	ReadsWhenRefused
)

// StandIn is a program in a pod that asks the API server for something now and
// then, with the habits of a real one.
type StandIn struct {
	Namespace, Account, Node string
	// Pod is the name of a pod that nothing owns. It is empty for a program in
	// a workload's pod, whose name a controller makes, and then set by Plant.
	Pod string
	// Kind is the workload's: Deployment, DaemonSet, StatefulSet, or CronJob of
	// which one run is under way. It has the account's name, this Image, and as
	// many pods as stand-ins name it; a DaemonSet's are on their Node.
	Kind, Image string
	// Then is the habit of the programs in the workload's later pods, and
	// ThenAge the age of the token that they start with, 0 for a fresh one.
	Then    Habit
	ThenAge time.Duration
	// Agent and Source are what the audit log says of the client: its user
	// agent, and where it claims to come from.
	Agent, Source string
	Habit         Habit
	// Age is how long ago the kubelet mounted the token that the program
	// starts with; it lives for Profile. An Age of 0 starts with a fresh one.
	Age, Profile time.Duration
	// Every is the time between two requests; 0 is two seconds.
	Every time.Duration
}

// Workload is a stand-in that is running.
type Workload struct {
	StandIn
	// First is the aged token that it started with, its zero value a fresh one.
	First Token

	lab    *Lab
	pod    *corev1.Pod
	client *http.Client
	token  string
	cancel context.CancelFunc
	done   chan struct{}

	mu                sync.Mutex
	accepted, refused int
	err               error
}

// imageID is what a node reports of the program's image: another habit is
// another build, also where the tag is the same.
func (p *Workload) imageID() string {
	repository, _, _ := strings.Cut(p.Image, ":")
	return fmt.Sprintf("%s@sha256:%x", repository, sha256.Sum256(fmt.Append(nil, p.Image, p.Habit)))
}

// Run makes the stand-in's pod and has it make requests until it is stopped,
// with the lab at the latest.
func (l *Lab) Run(ctx context.Context, s StandIn) (*Workload, error) {
	if s.Node != "" {
		if err := l.namedNode(ctx, s.Node); err != nil {
			return nil, err
		}
	}
	pod, err := l.Pod(ctx, s.Namespace, s.Pod, s.Account, s.Node)
	if err != nil {
		return nil, err
	}
	return l.runIn(ctx, pod, s)
}

// runIn has the stand-in make requests as the program in a pod.
func (l *Lab) runIn(ctx context.Context, pod *corev1.Pod, s StandIn) (*Workload, error) {
	p := &Workload{StandIn: s, lab: l, pod: pod, done: make(chan struct{})}
	p.Pod = pod.Name
	if p.Every == 0 {
		p.Every = 2 * time.Second
	}
	var err error
	if s.Age == 0 {
		err = p.read(ctx)
	} else {
		p.First, err = l.AgedToken(ctx, pod, s.Age, s.Profile)
		p.token = p.First.JWT
	}
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(l.ca.cert)
	p.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	loop, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go p.loop(loop)
	l.own(p)
	return p, nil
}

// read takes the token that the kubelet would have written just now: bound to
// the pod, for 3607 seconds, which the API server extends.
func (p *Workload) read(ctx context.Context) error {
	seconds := int64(3607)
	answer, err := p.lab.Admin.CoreV1().ServiceAccounts(p.Namespace).CreateToken(ctx, p.Account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: &seconds,
			BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.pod.Name, UID: p.pod.UID},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("lab: a token for %s/%s: %w", p.Namespace, p.Account, err)
	}
	p.token = answer.Status.Token
	return nil
}

func (p *Workload) loop(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	for n := 0; ; n++ {
		if err := p.request(ctx, n); err != nil && ctx.Err() == nil {
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Workload) request(ctx context.Context, n int) error {
	if p.Habit == ReadsAgain && n%5 == 4 {
		if err := p.read(ctx); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.lab.URL+"/api/v1/namespaces/"+p.Namespace+"/pods?limit=1", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("User-Agent", p.Agent)
	req.Header.Set("X-Forwarded-For", p.Source)
	res, err := p.client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	res.Body.Close()
	p.mu.Lock()
	if res.StatusCode == http.StatusUnauthorized {
		p.refused++
	} else {
		p.accepted++
	}
	p.mu.Unlock()
	if res.StatusCode == http.StatusUnauthorized && p.Habit == ReadsWhenRefused {
		if err := p.read(ctx); err != nil {
			return err
		}
		return p.request(ctx, 0)
	}
	return nil
}

// Counts tells how many requests the API server took, and how many it refused
// with a 401.
func (p *Workload) Counts() (accepted, refused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted, p.refused
}

// Stop ends the program; its pod stays.
func (p *Workload) Stop() error {
	p.lab.disown(p)
	return p.stop()
}

func (p *Workload) stop() error {
	p.cancel()
	<-p.done
	p.client.CloseIdleConnections()
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(p.err, context.Canceled) {
		return nil
	}
	return p.err
}

// namedNode makes a node object without a node, for tokens to name.
func (l *Lab) namedNode(ctx context.Context, name string) error {
	_, err := l.Admin.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	return ignoreExists(err)
}

// labelNode adds labels to a node object.
func (l *Lab) labelNode(ctx context.Context, name string, labels map[string]string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	_, err = l.Admin.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
