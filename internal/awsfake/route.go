package awsfake

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds a request's body.
const maxBody = 1 << 20

// awsError is an error as AWS answers it.
type awsError struct {
	status  int
	code    string
	message string
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// dialect is how a service writes errors.
type dialect int

const (
	queryXML dialect = iota
	queryJSON
	restJSON
)

// ServeHTTP answers for all services.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	w.Header().Set("X-Amzn-RequestId", random(16))
	if s.metadata(w, r) {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		http.Error(w, "body unreadable or too large", http.StatusBadRequest)
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, "bad query", http.StatusBadRequest)
		return
	}
	form := r.Form
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		// ParseForm found the body read already.
		if values, err := parseQuery(string(body)); err == nil {
			for name, v := range values {
				form[name] = append(form[name], v...)
			}
		}
	}
	if form.Get("Action") == "AssumeRoleWithWebIdentity" {
		s.serve(w, r, "sts:AssumeRoleWithWebIdentity", "", Key{}, func() (any, *awsError) { return s.assumeWithWebIdentity(form) })
		return
	}
	sig, ok := readSignature(r)
	if !ok {
		s.writeError(w, r, queryXML, &awsError{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"})
		return
	}
	further := s.config.Services[sig.service]
	action, handler := s.pick(r, form, body, sig)
	if further != nil {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		action = sig.service + ":" + operation
	} else if handler == nil {
		s.writeError(w, r, dialectOf(r, sig.service), &awsError{http.StatusNotFound, "UnknownOperationException", "awsfake has no such operation of " + sig.service})
		return
	}
	key, awsErr := s.verify(r, body, sig)
	if awsErr != nil {
		s.note(Call{Action: action + " refused", AccessKeyID: sig.accessKeyID, Region: sig.region, Host: r.Host})
		s.writeError(w, r, dialectOf(r, sig.service), awsErr)
		return
	}
	if further != nil {
		s.note(Call{Action: action, AccessKeyID: key.AccessKeyID, Region: sig.region, Host: r.Host})
		if !s.applyFault(w, r, action) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			further.ServeHTTP(w, r)
		}
		return
	}
	s.serve(w, r, action, sig.region, key, func() (any, *awsError) { return handler(key) })
}

// pick finds the operation that a signed request asks for.
func (s *Server) pick(r *http.Request, form map[string][]string, body []byte, sig signature) (string, func(Key) (any, *awsError)) {
	first := func(name string) string {
		if v := form[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	switch sig.service {
	case "sts":
		switch first("Action") {
		case "GetCallerIdentity":
			return "sts:GetCallerIdentity", s.callerIdentity
		case "AssumeRole":
			return "sts:AssumeRole", func(k Key) (any, *awsError) { return s.assumeRole(k, first) }
		}
	case "eks":
		name, ok := strings.CutPrefix(r.URL.Path, "/clusters/")
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/clusters":
			return "eks:ListClusters", func(Key) (any, *awsError) { return s.listClusters(sig.region, first) }
		case r.Method == http.MethodGet && ok && !strings.Contains(name, "/"):
			return "eks:DescribeCluster", func(Key) (any, *awsError) { return s.describeCluster(sig.region, name) }
		}
	case "ecr":
		if r.Header.Get("X-Amz-Target") == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken" {
			return "ecr:GetAuthorizationToken", func(k Key) (any, *awsError) { return s.registryToken(k, sig.region, body) }
		}
	case "ecr-public":
		if r.Header.Get("X-Amz-Target") == "SpencerFrontendService.GetAuthorizationToken" {
			return "ecr-public:GetAuthorizationToken", func(Key) (any, *awsError) { return s.publicRegistryToken(sig.region) }
		}
	}
	return "", nil
}

// serve runs one operation, after the faults that are switched on for it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, action, region string, key Key, handle func() (any, *awsError)) {
	s.note(Call{Action: action, AccessKeyID: key.AccessKeyID, Region: region, Host: r.Host, Params: publicParams(r.Form)})
	service, _, _ := strings.Cut(action, ":")
	if done := s.applyFault(w, r, action); done {
		return
	}
	out, err := handle()
	if err != nil {
		s.writeError(w, r, dialectOf(r, service), err)
		return
	}
	s.write(w, r, service, strings.TrimPrefix(action, service+":"), out)
}

// publicParams are a form's values without the tokens.
func publicParams(form map[string][]string) map[string]string {
	out := map[string]string{}
	for name, v := range form {
		switch {
		case len(v) == 0, name == "WebIdentityToken", name == "TokenCode", strings.HasPrefix(name, "X-Amz-"):
		default:
			out[name] = v[0]
		}
	}
	return out
}

func dialectOf(r *http.Request, service string) dialect {
	switch {
	case service != "sts":
		return restJSON
	case strings.Contains(r.Header.Get("Accept"), "application/json"):
		return queryJSON
	}
	return queryXML
}

func (s *Server) writeError(w http.ResponseWriter, r *http.Request, d dialect, e *awsError) {
	switch d {
	case queryJSON:
		writeJSON(w, e.status, "application/json", map[string]any{
			"Error": map[string]string{"Type": "Sender", "Code": e.code, "Message": e.message}, "RequestId": random(16),
		})
	case restJSON:
		code := e.code
		switch code { // the JSON services have names of their own
		case "SignatureDoesNotMatch":
			code = "InvalidSignatureException"
		case "InvalidClientTokenId":
			code = "UnrecognizedClientException"
		case "ExpiredToken":
			code = "ExpiredTokenException"
		}
		w.Header().Set("X-Amzn-ErrorType", code)
		writeJSON(w, e.status, "application/x-amz-json-1.1", map[string]string{"__type": code, "message": e.message})
	default:
		type inner struct{ Type, Code, Message string }
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(e.status)
		_ = xml.NewEncoder(w).Encode(struct {
			XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
			Error     inner
			RequestId string //nolint:revive // AWS's name
		}{Error: inner{"Sender", e.code, e.message}, RequestId: random(16)})
	}
}

// write sends an operation's result: for STS in its envelope of XML or JSON.
func (s *Server) write(w http.ResponseWriter, r *http.Request, service, action string, out any) {
	if service != "sts" {
		writeJSON(w, http.StatusOK, "application/x-amz-json-1.1", out)
		return
	}
	if dialectOf(r, service) == queryJSON {
		writeJSON(w, http.StatusOK, "application/json", map[string]any{
			action + "Response": map[string]any{
				action + "Result": out, "ResponseMetadata": map[string]string{"RequestId": random(16)},
			},
		})
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	enc := xml.NewEncoder(w)
	response := xml.StartElement{Name: xml.Name{Local: action + "Response", Space: "https://sts.amazonaws.com/doc/2011-06-15/"}}
	result := xml.StartElement{Name: xml.Name{Local: action + "Result"}}
	_ = enc.EncodeToken(response)
	_ = enc.EncodeElement(out, result)
	_ = enc.EncodeToken(response.End())
	_ = enc.Flush()
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// epoch is a time as AWS's JSON services write it.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
