package awsfake

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metadata answers for the endpoints that take no signature: instance metadata,
// container credentials and the SSO portal. It returns false for other paths.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.URL.Path == "/latest/api/token":
		s.metadataToken(w, r)
	case strings.HasPrefix(r.URL.Path, "/latest/"):
		s.instance(w, r)
	case r.URL.Path == "/v1/credentials":
		s.container(w, r)
	case r.URL.Path == "/federation/credentials":
		s.portal(w, r)
	default:
		return false
	}
	return true
}

func (s *Server) metadataToken(w http.ResponseWriter, r *http.Request) {
	s.note(Call{Action: "imds:Token", Host: r.Host})
	if s.applyFault(w, r, "imds:Token") {
		return
	}
	seconds, err := strconv.Atoi(r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"))
	if r.Method != http.MethodPut || err != nil || seconds < 1 || seconds > 21600 {
		http.Error(w, "want PUT with a life of 1 to 21600 seconds", http.StatusBadRequest)
		return
	}
	token := random(28)
	s.mu.Lock()
	s.imds[token] = s.config.Now().Add(time.Duration(seconds) * time.Second)
	s.mu.Unlock()
	w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", strconv.Itoa(seconds))
	_, _ = w.Write([]byte(token))
}

func (s *Server) instance(w http.ResponseWriter, r *http.Request) {
	s.note(Call{Action: "imds:Get", Host: r.Host, Params: map[string]string{"path": r.URL.Path}})
	if s.applyFault(w, r, "imds:Get") {
		return
	}
	s.mu.Lock()
	until, ok := s.imds[r.Header.Get("X-Aws-Ec2-Metadata-Token")]
	s.mu.Unlock()
	if !ok || s.now().After(until) { // version 1 is off, as it should be
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	role := s.config.InstanceRole
	name := role.ARN[strings.LastIndex(role.ARN, "/")+1:]
	const base = "/latest/meta-data/iam/security-credentials"
	switch path := strings.TrimSuffix(r.URL.Path, "/"); {
	case path == "/latest/meta-data/placement/region" && s.config.InstanceRegion != "":
		_, _ = w.Write([]byte(s.config.InstanceRegion))
	case path == "/latest/dynamic/instance-identity/document" && s.config.InstanceRegion != "":
		writeJSON(w, http.StatusOK, "text/plain", map[string]string{"region": s.config.InstanceRegion, "accountId": Account})
	case path == base && role.ARN != "":
		_, _ = w.Write([]byte(name))
	case path == base+"/"+name && role.ARN != "":
		k := s.sessionKey(role, "i-0123456789abcdef0", 6*time.Hour)
		writeJSON(w, http.StatusOK, "text/plain", map[string]string{
			"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": s.now().UTC().Format(time.RFC3339),
			"AccessKeyId": k.AccessKeyID, "SecretAccessKey": k.SecretAccessKey, "Token": k.SessionToken,
			"Expiration": k.Expires.UTC().Format(time.RFC3339),
		})
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) container(w http.ResponseWriter, r *http.Request) {
	s.note(Call{Action: "container:Credentials", Host: r.Host})
	if s.applyFault(w, r, "container:Credentials") {
		return
	}
	if s.config.ContainerToken != "" && r.Header.Get("Authorization") != s.config.ContainerToken {
		writeJSON(w, http.StatusUnauthorized, "application/json", map[string]string{"message": "Unauthorized"})
		return
	}
	if s.config.ContainerRole.ARN == "" {
		http.NotFound(w, r)
		return
	}
	k := s.sessionKey(s.config.ContainerRole, "eks-demo-app-0a1b2c3d", time.Hour)
	writeJSON(w, http.StatusOK, "application/json", map[string]string{
		"AccessKeyId": k.AccessKeyID, "SecretAccessKey": k.SecretAccessKey, "Token": k.SessionToken,
		"Expiration": k.Expires.UTC().Format(time.RFC3339), "AccountId": k.Account,
	})
}

func (s *Server) portal(w http.ResponseWriter, r *http.Request) {
	s.note(Call{Action: "sso:GetRoleCredentials", Host: r.Host})
	if s.applyFault(w, r, "sso:GetRoleCredentials") {
		return
	}
	q := r.URL.Query()
	if s.config.SSOToken == "" || r.Header.Get("X-Amz-Sso_bearer_token") != s.config.SSOToken {
		s.writeError(w, r, restJSON, &awsError{http.StatusUnauthorized, "UnauthorizedException", "Session token not found or invalid"})
		return
	}
	role, ok := s.role("arn:aws:iam::" + q.Get("account_id") + ":role/" + q.Get("role_name"))
	if !ok {
		s.writeError(w, r, restJSON, &awsError{http.StatusForbidden, "ForbiddenException", "No access"})
		return
	}
	k := s.sessionKey(role, "alice@example.com", time.Hour)
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"roleCredentials": map[string]any{
		"accessKeyId": k.AccessKeyID, "secretAccessKey": k.SecretAccessKey, "sessionToken": k.SessionToken,
		"expiration": k.Expires.UnixMilli(),
	}})
}
