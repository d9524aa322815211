package awsfake

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is something that goes wrong with calls of an action.
type Fault struct {
	// Action is "sts:AssumeRole", "imds:Token", ... or "*" for all.
	Action string
	// Times is how many calls it meets; 0 means all from now on.
	Times int
	// Delay passes before anything is answered.
	Delay time.Duration
	// Reset closes the connection instead of answering.
	Reset bool
	// Throttle answers as AWS does when it is asked too often.
	Throttle bool
	// Status answers with this status of a server error, 500 to 599.
	Status int
	// Code and Message make an error of the service with the status 400.
	Code, Message string
	// Redirect answers with a redirect to this address, Body with status 200 and
	// this text: what AWS never says, and what stands in between may.
	Redirect, Body string
}

// Fail switches a fault on. Faults are tried in the order they were given.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// Mend switches all faults off, the skew too.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.skew = nil, 0
}

// Skew sets the server's clock ahead by d, or back where d is negative.
func (s *Server) Skew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

// takeFault returns the first fault for the action and counts it down.
func (s *Server) takeFault(action string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.faults {
		f := &s.faults[i]
		if f.Action != "*" && f.Action != action {
			continue
		}
		out := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return out, true
	}
	return Fault{}, false
}

// applyFault makes a call fail where a fault is on. It returns true where the
// call has been answered, or never will be.
func (s *Server) applyFault(w http.ResponseWriter, r *http.Request, action string) bool {
	f, ok := s.takeFault(action)
	if !ok {
		return false
	}
	if f.Delay > 0 {
		wait(r.Context(), f.Delay)
	}
	service, _, _ := strings.Cut(action, ":")
	switch {
	case f.Reset:
		reset(w)
	case f.Throttle:
		code := "Throttling"
		if service != "sts" {
			code = "ThrottlingException"
		}
		s.writeError(w, r, dialectOf(r, service), &awsError{http.StatusBadRequest, code, "Rate exceeded"})
	case f.Status != 0:
		s.writeError(w, r, dialectOf(r, service), &awsError{f.Status, "InternalFailure", "We encountered an internal error. Please try again."})
	case f.Redirect != "":
		w.Header().Set("Location", f.Redirect)
		w.WriteHeader(http.StatusFound)
	case f.Body != "":
		_, _ = io.WriteString(w, f.Body)
	case f.Code != "":
		s.writeError(w, r, dialectOf(r, service), &awsError{http.StatusBadRequest, f.Code, f.Message})
	default:
		return false
	}
	return true
}

// reset ends the connection without an answer.
func reset(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler) // HTTP/2: the stream is reset
	}
	conn, _, err := h.Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
