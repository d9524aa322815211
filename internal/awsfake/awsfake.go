// Package awsfake is a stand-in for the parts of AWS that kubecred speaks to:
// STS, EKS, ECR (private and public), the SSO portal, instance metadata (version
// 2) and the container credential endpoint. It checks every signature for real,
// so a client that signs wrongly fails against it as it would against AWS, and
// it has faults to switch on. It is for tests and the lab only.
//
// One address serves all services, for AWS_ENDPOINT_URL; which service is meant
// is read from the signature's scope. [Server.StartProxy] serves the same over
// TLS under AWS's own host names, for clients that reach AWS by HTTPS_PROXY.
package awsfake

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Config is the world that a Server answers for. The zero value of each field
// is fine; [Default] has something of everything.
type Config struct {
	// Now is the server's clock; nil for the real one.
	Now      func() time.Time
	Keys     []Key
	Roles    []Role
	Clusters []Cluster
	// InstanceRole is what instance metadata names; its keys are made as they
	// are asked for. Empty: the instance has no role.
	InstanceRole Role
	// InstanceRegion is the region that instance metadata tells.
	InstanceRegion string
	// ContainerToken is the Authorization that the container credential endpoint
	// wants, and ContainerRole whose credentials it gives.
	ContainerToken string
	ContainerRole  Role
	// SSOToken is the bearer token that the SSO portal wants.
	SSOToken string
	// RegistryPassword is the password inside ECR's tokens; empty for "ecr-pass".
	RegistryPassword string
	// RegistryTokenLife is how long ECR's tokens live; 0 stands for 12 hours.
	RegistryTokenLife time.Duration
	// Services answer for further services, by the name in the signature's scope
	// ("logs"). A request reaches one when its signature is right.
	Services map[string]http.Handler
	// Forgetful keeps no list of calls, for servers that are asked for long.
	Forgetful bool
}

// Key is an access key and who it belongs to.
type Key struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Account, ARN, UserID                       string
	Expires                                    time.Time // zero: never
}

// Role is a role that may be assumed.
type Role struct {
	ARN string // arn:aws:iam::ACCOUNT:role/PATH/NAME
	// ID begins the user id of its sessions; empty for "AROAEXAMPLEROLE".
	ID string
	// ExternalID must be given where it is set.
	ExternalID string
	// Trusts are the ARNs that may assume it; none means all.
	Trusts []string
	// MFACode must be given where it is set, with a serial number.
	MFACode string
	// WebTokens are the web identity tokens that it takes, and WebToken, where it
	// is set, says of any other why it does not take it.
	WebTokens []string
	WebToken  func(token string) error
	// Life is how long its sessions live where the caller asks for nothing; 0
	// stands for an hour.
	Life time.Duration
}

// Cluster is an EKS cluster.
type Cluster struct {
	Name, Region, Account string
	Endpoint              string
	CA                    string // PEM
	Version               string
	Status                string // empty for ACTIVE
	// ID is set for clusters on Outposts only.
	ID string
}

// Call is one request that reached a service, for tests to count.
type Call struct {
	// Action is "sts:GetCallerIdentity", "eks:DescribeCluster", ...
	Action      string
	AccessKeyID string
	Region      string
	Host        string
	// Params are the request's parameters but for tokens.
	Params map[string]string
}

// Server is a running stand-in. Its methods may be called at any time.
type Server struct {
	// URL is http://127.0.0.1:PORT.
	URL string

	config   Config
	listener net.Listener
	http     *http.Server
	proxies  []*Proxy

	mu     sync.Mutex
	keys   map[string]Key
	calls  []Call
	faults []Fault
	skew   time.Duration
	imds   map[string]time.Time // session tokens of instance metadata
	// derived are signing keys by secret and scope.
	derived map[string][]byte
}

// Start serves the world on a free port of the loopback address. Close it.
func Start(c Config) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{URL: "http://" + l.Addr().String(), config: c, listener: l, keys: map[string]Key{}, imds: map[string]time.Time{}, derived: map[string][]byte{}}
	for _, k := range c.Keys {
		s.keys[k.AccessKeyID] = k
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(l) }()
	return s, nil
}

// Close ends the server, its proxies and all connections.
func (s *Server) Close() error {
	s.mu.Lock()
	proxies := slices.Clone(s.proxies)
	s.mu.Unlock()
	err := s.http.Close()
	for _, p := range proxies {
		err = errors.Join(err, p.close())
	}
	return err
}

// Calls returns the calls so far, oldest first. With actions, only those.
func (s *Server) Calls(actions ...string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Call
	for _, c := range s.calls {
		if len(actions) == 0 || slices.Contains(actions, c.Action) {
			out = append(out, c)
		}
	}
	return out
}

// AddKey makes an access key known, or replaces it.
func (s *Server) AddKey(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[k.AccessKeyID] = k
}

// Env is the environment by which AWS clients find the server, without
// credentials.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL,
		"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + s.URL,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// now is the server's clock, with the skew that a test gave it.
func (s *Server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config.Now().Add(s.skew)
}

func (s *Server) key(id string) (Key, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[id]
	return k, ok
}

func (s *Server) note(c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.config.Forgetful {
		s.calls = append(s.calls, c)
	}
}

// wait pauses for d, or until the client is gone.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Names of the world that Default makes.
const (
	Account    = "123456789012"
	UserKey    = "AKIAIOSFODNN7EXAMPLE"
	UserSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	UserARN    = "arn:aws:iam::123456789012:user/alice"
	AdminRole  = "arn:aws:iam::123456789012:role/admin"
	NodeRole   = "arn:aws:iam::123456789012:role/node"
)

// Default is a small world: a user with a long-lived key, a role that the user
// may assume, an instance role, a container role, and clusters in two regions.
func Default() Config {
	return Config{
		Keys: []Key{{
			AccessKeyID: UserKey, SecretAccessKey: UserSecret,
			Account: Account, ARN: UserARN, UserID: "AIDAEXAMPLEALICE",
		}},
		Roles:          []Role{{ARN: AdminRole, ID: "AROAEXAMPLEADMIN", WebTokens: []string{"web-identity-token"}}, {ARN: NodeRole, ID: "AROAEXAMPLENODE1"}},
		InstanceRole:   Role{ARN: NodeRole, ID: "AROAEXAMPLENODE1"},
		InstanceRegion: "eu-west-1",
		ContainerToken: "container-token",
		ContainerRole:  Role{ARN: AdminRole, ID: "AROAEXAMPLEADMIN"},
		SSOToken:       "sso-token",
		Clusters: []Cluster{
			{Name: "demo", Region: "eu-west-1", Account: Account, Endpoint: "https://ABCDEF0123456789ABCDEF0123456789.gr7.eu-west-1.eks.amazonaws.com", CA: fakeCA, Version: "1.35"},
			{Name: "stage", Region: "eu-west-1", Account: Account, Endpoint: "https://0123456789ABCDEF0123456789ABCDEF.yl4.eu-west-1.eks.amazonaws.com", CA: fakeCA, Version: "1.34"},
			{Name: "outpost", Region: "us-west-2", Account: Account, Endpoint: "https://10.0.0.4", CA: fakeCA, Version: "1.33", ID: "0a1b2c3d-4e5f-6789-abcd-ef0123456789"},
		},
	}
}

// fakeCA is text in the form of a certificate; nothing verifies with it.
const fakeCA = "-----BEGIN CERTIFICATE-----\nMIIBFAKE\n-----END CERTIFICATE-----\n"
