// Package broker stands between a client of one of Kubernetes' credential
// protocols and the program that issues the credential. It answers from a cache
// on disk, runs the issuer once however many ask at the same time, and
// translates between the versions of the protocol.
//
// An [Ask] is one question of one client. Its life is short:
//
//	ask, err := b.Client(os.Getenv("KUBERNETES_EXEC_INFO"), issuer, args)
//	out, ok := ask.Cached()      // nothing is started, nothing is waited for
//	if !ok {
//		out, err = ask.Issue(ctx) // runs the issuer, or waits for who does
//	}
//
// # What makes a credential somebody's
//
// The key of an entry is a hash over everything that decides whose credential it
// is: the issuer's path and arguments, the cluster that the client passed, the
// environment but for names that differ from one shell to the next, the contents
// of the clouds' own config files, and the user id. Whatever changes there, the
// old entry is not found any more. See key.go and identity.go.
//
// # What is kept
//
// One file an entry, readable by its owner only, replaced in one step, with a
// hash over its content; whatever does not check out in every way is a miss. The
// cache never makes a call fail: where it cannot be used the issuer is asked.
//
// # Refusals
//
// A client of the API server that gets a 401 asks its plugin again and tells it
// nothing of that. But it is the same process that was given this very
// credential before, and it asks before the credential has expired. So whoever
// is served is remembered (served.go), and such a second question goes to the
// issuer.
package broker

import (
	"os"
	"time"
)

// Defaults of a Broker's bounds.
const (
	// DefaultTimeout is how long an issuer may take that cannot ask a person.
	DefaultTimeout = 45 * time.Second
	// DefaultLoginTimeout is how long it may take where it can.
	DefaultLoginTimeout = 10 * time.Minute
)

// Broker holds what all questions have in common. Make one with [New].
type Broker struct {
	// Dir is the cache directory; "" works without a cache.
	Dir string
	// Now is the clock.
	Now func() time.Time
	// Environ is the environment, as os.Environ gives it.
	Environ []string
	// Stdin is connected to an issuer that may ask the person; Stderr gets what
	// an issuer writes there.
	Stdin, Stderr *os.File
	// Notice is told, once each, what a person should know beside the answer,
	// such as that the cache cannot be used. It is one line.
	Notice func(string)
	// Timeout and LoginTimeout bound an issuer's run.
	Timeout, LoginTimeout time.Duration
	// Refusals tells whether refusals are looked for.
	Refusals bool
	// Beside returns the directory in which an issuer is looked for first, "" for
	// none; nil for none.
	Beside func() string
	// Key configures what goes into the key.
	Key KeyOptions

	noticed  map[string]bool
	troubled bool
	locker   locker
	parent   func() process
}

// New returns a broker with the system's clock and files, the default bounds, the
// environment as os.Environ gives it, and the cache in dir.
func New(dir string, environ []string) *Broker {
	return &Broker{
		Dir: dir, Now: time.Now, Environ: environ, Stdin: os.Stdin, Stderr: os.Stderr,
		Notice: func(string) {}, Timeout: DefaultTimeout, LoginTimeout: DefaultLoginTimeout, Refusals: true,
		locker: fileLocker{}, parent: parentProcess,
	}
}

// notice tells something once.
func (b *Broker) notice(s string) {
	if b.noticed[s] {
		return
	}
	if b.noticed == nil {
		b.noticed = map[string]bool{}
	}
	b.noticed[s] = true
	b.Notice(s)
}

// cacheTrouble tells that the cache is not of use, once: one full disk meets
// several of its files.
func (b *Broker) cacheTrouble(what string, err error) {
	if !b.troubled {
		b.troubled = true
		b.notice(what + oneLine(plainError(err).Error()))
	}
}

// getenv returns the value of the last variable of that name.
func getenv(environ []string, name string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if v := environ[i]; len(v) > len(name) && v[len(name)] == '=' && v[:len(name)] == name {
			return v[len(name)+1:]
		}
	}
	return ""
}
