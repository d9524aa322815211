package awsfake

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func parseQuery(s string) (url.Values, error) { return url.ParseQuery(s) }

type callerIdentityResult struct {
	Arn     string
	UserId  string //nolint:revive // AWS's name
	Account string
}

func (s *Server) callerIdentity(k Key) (any, *awsError) {
	return callerIdentityResult{Arn: k.ARN, UserId: k.UserID, Account: k.Account}, nil
}

type stsCredentials struct {
	AccessKeyId     string //nolint:revive // AWS's name
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

type assumedRoleUser struct {
	AssumedRoleId string //nolint:revive // AWS's name
	Arn           string
}

type assumeRoleResult struct {
	Credentials     stsCredentials
	AssumedRoleUser assumedRoleUser
}

func denied(format string, args ...any) *awsError {
	return &awsError{http.StatusForbidden, "AccessDenied", fmt.Sprintf(format, args...)}
}

func (s *Server) role(arn string) (Role, bool) {
	i := slices.IndexFunc(s.config.Roles, func(r Role) bool { return r.ARN == arn })
	if i < 0 {
		return Role{}, false
	}
	return s.config.Roles[i], true
}

func (s *Server) assumeRole(k Key, param func(string) string) (any, *awsError) {
	arn := param("RoleArn")
	role, ok := s.role(arn)
	no := denied("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", k.ARN, arn)
	switch {
	case !ok:
		return nil, no
	case role.ExternalID != "" && role.ExternalID != param("ExternalId"):
		return nil, no
	case len(role.Trusts) > 0 && !slices.Contains(role.Trusts, k.ARN) && !slices.Contains(role.Trusts, roleOfSession(k.ARN)):
		return nil, no
	case role.MFACode != "" && param("SerialNumber") == "":
		return nil, no
	case role.MFACode != "" && role.MFACode != param("TokenCode"):
		return nil, denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
	}
	return s.newSession(role, param("RoleSessionName"), param("DurationSeconds"))
}

func (s *Server) assumeWithWebIdentity(form url.Values) (any, *awsError) {
	role, ok := s.role(form.Get("RoleArn"))
	if !ok {
		return nil, denied("Not authorized to perform sts:AssumeRoleWithWebIdentity")
	}
	if token := form.Get("WebIdentityToken"); !slices.Contains(role.WebTokens, token) {
		if role.WebToken == nil {
			return nil, &awsError{http.StatusBadRequest, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for the token's issuer"}
		}
		if err := role.WebToken(token); err != nil {
			return nil, &awsError{http.StatusBadRequest, "InvalidIdentityToken", err.Error()}
		}
	}
	return s.newSession(role, form.Get("RoleSessionName"), form.Get("DurationSeconds"))
}

// roleOfSession is the IAM role's ARN of a session's, without a path.
func roleOfSession(arn string) string {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[2] != "sts" {
		return ""
	}
	name := strings.Split(parts[5], "/")
	if len(name) != 3 || name[0] != "assumed-role" {
		return ""
	}
	return "arn:" + parts[1] + ":iam::" + parts[4] + ":role/" + name[1]
}

func (s *Server) newSession(role Role, name, seconds string) (any, *awsError) {
	if len(name) < 2 || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("_=,.@-", r))
	}) {
		return nil, &awsError{http.StatusBadRequest, "ValidationError", "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"}
	}
	life := role.Life
	if n, err := strconv.Atoi(seconds); err == nil && life == 0 {
		if n < 900 || n > 43200 {
			return nil, &awsError{http.StatusBadRequest, "ValidationError", "The requested DurationSeconds is out of range"}
		}
		life = time.Duration(n) * time.Second
	}
	k := s.sessionKey(role, name, life)
	return assumeRoleResult{
		Credentials: stsCredentials{k.AccessKeyID, k.SecretAccessKey, k.SessionToken, k.Expires.UTC().Format(time.RFC3339)},
		AssumedRoleUser: assumedRoleUser{
			AssumedRoleId: k.UserID, Arn: k.ARN,
		},
	}, nil
}

// sessionKey makes and remembers a temporary key of the role.
func (s *Server) sessionKey(role Role, name string, life time.Duration) Key {
	if life == 0 {
		life = role.Life
	}
	if life == 0 {
		life = time.Hour
	}
	id := role.ID
	if id == "" {
		id = "AROAEXAMPLEROLE"
	}
	parts := strings.Split(role.ARN, ":")
	short := role.ARN[strings.LastIndex(role.ARN, "/")+1:]
	k := Key{
		AccessKeyID:     "ASIA" + strings.ToUpper(random(8)),
		SecretAccessKey: "secret-" + random(20),
		SessionToken:    "session-" + random(40),
		Account:         parts[4],
		ARN:             "arn:" + parts[1] + ":sts::" + parts[4] + ":assumed-role/" + short + "/" + name,
		UserID:          id + ":" + name,
		Expires:         s.now().Add(life).Truncate(time.Second),
	}
	s.AddKey(k)
	return k
}
