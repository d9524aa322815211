package credapi

import (
	"bytes"
	"time"

	"github.com/kubecred/kubecred/internal/plainjson"
)

// ExecInfoEnv is the variable in which the client passes its request.
const ExecInfoEnv = "KUBERNETES_EXEC_INFO"

const execKind = "ExecCredential"

// ExecRequest is what a client tells its plugin, an ExecCredential with a spec.
type ExecRequest struct {
	// APIVersion is the version the answer must have.
	APIVersion string
	// Interactive says that stdin is the person's and may be asked.
	Interactive bool
	// Cluster is spec.cluster as the client wrote it, without white space; nil
	// where the client passes none (it does with provideClusterInfo only).
	Cluster []byte
}

// ParseExecInfo decodes the value of KUBERNETES_EXEC_INFO. Names that it does
// not know are passed over, for a newer client may send more. The error is a
// [*FieldError].
func ParseExecInfo(data []byte) (ExecRequest, error) {
	if r, ok := plainInfo(data); ok {
		return r, nil
	}
	var r ExecRequest
	members, err := document(data)
	if err != nil {
		return r, err
	}
	if r.APIVersion, err = header(members, ExecGroup, execKind); err != nil {
		return r, err
	}
	for _, m := range members {
		switch {
		case m.Name == "spec" && kindOf(m.Raw) != "null":
			err = r.spec(m.Raw)
		case misspelt(m.Name, "spec"):
			err = unknown("", m.Name, "spec")
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// plainInfo reads what client-go writes where it passes no cluster, byte for byte
// and so without a decoder: it is what plugins are asked nearly always, and
// starting a decoder is the most that answering it from a cache would cost.
func plainInfo(data []byte) (ExecRequest, bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"kind":"ExecCredential","apiVersion":"`+ExecGroup+`/`))
	if !ok {
		return ExecRequest{}, false
	}
	version, rest, ok := bytes.Cut(rest, []byte(`","spec":{"interactive":`))
	if !ok {
		return ExecRequest{}, false
	}
	var r ExecRequest
	switch string(version) {
	case "v1":
		r.APIVersion = ExecV1
	case "v1beta1":
		r.APIVersion = ExecV1Beta1
	case "v1alpha1":
		r.APIVersion = ExecV1Alpha1
	default:
		return r, false
	}
	switch string(bytes.TrimSuffix(rest, []byte("\n"))) {
	case "true}}":
		r.Interactive = true
		return r, true
	case "false}}":
		return r, true
	}
	return r, false
}

func (r *ExecRequest) spec(raw []byte) error {
	members, err := object(raw, "spec")
	if err != nil {
		return err
	}
	for _, m := range members {
		switch {
		case m.Name == "interactive":
			r.Interactive, err = boolean(m.Raw, "spec.interactive")
		case m.Name == "cluster" && kindOf(m.Raw) != "null":
			if _, err = object(m.Raw, "spec.cluster"); err == nil {
				r.Cluster = plainjson.AppendCompact(nil, m.Raw)
			}
		case misspelt(m.Name, "interactive", "cluster"):
			err = unknown("spec", m.Name, "interactive", "cluster")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Encode writes the request as a client does.
func (r ExecRequest) Encode() []byte {
	b := append([]byte(`{"kind":"ExecCredential","apiVersion":`), nil...)
	b = plainjson.AppendString(b, r.APIVersion)
	b = append(b, `,"spec":{"interactive":`...)
	if r.Interactive {
		b = append(b, "true"...)
	} else {
		b = append(b, "false"...)
	}
	if r.Cluster != nil {
		b = append(b, `,"cluster":`...)
		b = append(b, r.Cluster...)
	}
	return append(b, "}}"...)
}

// ExecCredential is what a plugin answers. It has a token, a certificate with
// its key, or both.
type ExecCredential struct {
	APIVersion string // as read; Encode does not look at it
	Token      string
	// ClientCertificateData and ClientKeyData are PEM.
	ClientCertificateData string
	ClientKeyData         string
	// Expiration is the announced end, zero where none is: then a client keeps
	// the credential until the server refuses it.
	Expiration time.Time
}

var execStatusFields = []string{"expirationTimestamp", "token", "clientCertificateData", "clientKeyData"}

// ParseExecCredential decodes a plugin's answer in any of the three versions.
// Names that client-go passes over are passed over, unless they are known names
// in other case. The error is a [*FieldError]. The rules of what must be there
// are client-go's (plugin/pkg/client/auth/exec/exec.go).
func ParseExecCredential(data []byte) (ExecCredential, error) {
	var c ExecCredential
	members, err := document(data)
	if err != nil {
		return c, err
	}
	if c.APIVersion, err = header(members, ExecGroup, execKind); err != nil {
		return c, err
	}
	found := false
	for _, m := range members {
		switch {
		case m.Name == "status" && kindOf(m.Raw) != "null":
			found = true
			err = c.status(m.Raw)
		case misspelt(m.Name, "status"):
			err = unknown("", m.Name, "status")
		}
		if err != nil {
			return ExecCredential{}, err
		}
	}
	if !found {
		return ExecCredential{}, fieldError("status", "missing, want an object with token, or clientCertificateData and clientKeyData")
	}
	if err := c.check(); err != nil {
		return ExecCredential{}, err
	}
	return c, nil
}

func (c *ExecCredential) status(raw []byte) error {
	members, err := object(raw, "status")
	if err != nil {
		return err
	}
	for _, m := range members {
		path := join("status", m.Name)
		switch m.Name {
		case "token":
			c.Token, err = text(m.Raw, path)
		case "clientCertificateData":
			c.ClientCertificateData, err = text(m.Raw, path)
		case "clientKeyData":
			c.ClientKeyData, err = text(m.Raw, path)
		case "expirationTimestamp":
			c.Expiration, err = moment(m.Raw, path)
		default:
			if misspelt(m.Name, execStatusFields...) {
				err = unknown("status", m.Name, execStatusFields...)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *ExecCredential) check() error {
	switch {
	case c.Token == "" && c.ClientCertificateData == "" && c.ClientKeyData == "":
		return fieldError("status", "no credential in it, want token, or clientCertificateData and clientKeyData")
	case c.ClientCertificateData == "" && c.ClientKeyData != "":
		return fieldError("status.clientCertificateData", "missing beside clientKeyData, want both or neither")
	case c.ClientCertificateData != "" && c.ClientKeyData == "":
		return fieldError("status.clientKeyData", "missing beside clientCertificateData, want both or neither")
	}
	for i := range len(c.Token) {
		if ch := c.Token[i]; ch < 0x20 || ch == 0x7f {
			return fieldError("status.token", "holds a control character, which no HTTP header may")
		}
	}
	return nil
}

// Encode writes the answer in the version asked for, on one line.
func (c ExecCredential) Encode(apiVersion string) []byte {
	b := append([]byte(`{"kind":"ExecCredential","apiVersion":`), nil...)
	b = plainjson.AppendString(b, apiVersion)
	b = append(b, `,"spec":{},"status":`...)
	b = append(b, c.EncodeStatus()...)
	return append(b, '}')
}

// EncodeStatus writes the status alone, which is the same in every version.
func (c ExecCredential) EncodeStatus() []byte {
	b := []byte{'{'}
	field := func(name, value string) {
		if value == "" {
			return
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = plainjson.AppendString(b, name)
		b = append(b, ':')
		b = plainjson.AppendString(b, value)
	}
	if !c.Expiration.IsZero() {
		field("expirationTimestamp", c.Expiration.UTC().Format(time.RFC3339))
	}
	field("token", c.Token)
	field("clientCertificateData", c.ClientCertificateData)
	field("clientKeyData", c.ClientKeyData)
	return append(b, '}')
}
