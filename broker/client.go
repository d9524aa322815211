package broker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubecred/kubecred/credapi"
)

// clientRoad is client-go's exec protocol.
type clientRoad struct {
	b     *Broker
	wants credapi.ExecRequest
	// silent: the client says nothing of itself, nor whether there is a person.
	silent bool
}

// Client returns the question of a client of the API server. info is the value
// of KUBERNETES_EXEC_INFO, "" where it is not set: then the client is an old one
// that wants v1beta1. The error says what is wrong with info, or is a
// [*NotFoundError].
func (b *Broker) Client(info, issuer string, args []string) (*Ask, error) {
	r := clientRoad{b: b, silent: info == ""}
	if r.silent {
		r.wants.APIVersion = credapi.ExecV1Beta1
	} else {
		var err error
		if r.wants, err = credapi.ParseExecInfo([]byte(info)); err != nil {
			return nil, errors.New(credapi.ExecInfoEnv + ": " + err.Error())
		}
	}
	return b.newAsk(r, issuer, args, []string{string(r.wants.Cluster)})
}

func (clientRoad) name() string    { return clientName }
func (clientRoad) refusable() bool { return true }
func (clientRoad) attempts() int   { return 1 } // a client tries again by itself

func (r clientRoad) interactive() bool {
	return r.wants.Interactive || r.silent && isTerminal(r.b.Stdin)
}

// sweeps: an issuer may start an agent that keeps its login.
func (clientRoad) sweeps() bool { return false }

func (clientRoad) keys(base string) []string { return []string{base} }

func (r clientRoad) asked() string {
	return strings.TrimPrefix(r.wants.APIVersion, credapi.ExecGroup+"/")
}

func (r clientRoad) request(version string) (environ []string, stdin []byte) {
	ask := r.wants
	ask.APIVersion, ask.Interactive = credapi.ExecGroup+"/"+version, r.interactive()
	prefix := credapi.ExecInfoEnv + "="
	for _, v := range r.b.Environ {
		if !strings.HasPrefix(v, prefix) {
			environ = append(environ, v)
		}
	}
	return append(environ, prefix+string(ask.Encode())), nil
}

func (r clientRoad) read(stdout []byte, now time.Time) (credential, error) {
	c, err := credapi.ParseExecCredential(stdout)
	if err != nil {
		return credential{}, errors.New("ExecCredential: " + err.Error())
	}
	c.Expiration = trueExpiry(c)
	until, renew := schedule(now, c.Expiration)
	return credential{
		payload: c.EncodeStatus(), expires: c.Expiration, keep: true, until: until, renew: renew,
		speaks: strings.TrimPrefix(c.APIVersion, credapi.ExecGroup+"/"),
	}, nil
}

// answer puts the status, which is the same in every version, into its frame.
func (r clientRoad) answer(e *entry, _ time.Time) []byte {
	b := make([]byte, 0, len(e.payload)+128)
	b = append(b, `{"kind":"ExecCredential","apiVersion":"`...)
	b = append(b, r.wants.APIVersion...)
	b = append(b, `","spec":{},"status":`...)
	b = append(b, e.payload...)
	return append(b, "}\n"...)
}

// isTerminal tells whether f is a terminal: a character device that is not the
// null device.
func isTerminal(f *os.File) bool {
	if f == nil {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

func pid() int { return os.Getpid() }

func baseName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".exe") }
