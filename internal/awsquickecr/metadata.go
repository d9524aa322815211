package awsquickecr

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/kubecred/kubecred/internal/awskeys"
	"github.com/kubecred/kubecred/internal/leanhttp"
)

// The instance metadata service, version 2 (Amazon EC2 user guide).
const (
	metadataEndpoint = "http://169.254.169.254"
	metadataRoles    = "/latest/meta-data/iam/security-credentials/"
	maxMetadata      = 64 << 10
)

// metadataOrigin is where the instance's metadata is; ok is false where it is
// switched off, or reached in a way that the SDK knows better.
func metadataOrigin(w World) (leanhttp.Origin, bool) {
	if off := w.Getenv("AWS_EC2_METADATA_DISABLED"); off != "" && !strings.EqualFold(off, "false") {
		return leanhttp.Origin{}, false
	}
	o, err := leanhttp.ParseOrigin(cmp.Or(w.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"), metadataEndpoint))
	return o, err == nil && !o.TLS
}

// instanceKeys gets the keys of the instance's role. ok is false for whatever is
// not a plain answer to each of the three questions: the SDK asks again.
func instanceKeys(ctx context.Context, origin leanhttp.Origin, getenv func(string) string) (awskeys.Keys, bool) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	conn, err := leanhttp.Dial(ctx, origin, getenv)
	if err != nil {
		return awskeys.Keys{}, false
	}
	defer conn.Close()
	ask := func(method, path, header, value string) ([]byte, bool) {
		resp, _, err := conn.Do(ctx, leanhttp.Request{Method: method, Path: path, Headers: [][2]string{{header, value}}, MaxBody: maxMetadata})
		return resp.Body, err == nil && resp.Status == 200
	}
	token, ok := ask("PUT", "/latest/api/token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
	if !ok || len(token) == 0 {
		return awskeys.Keys{}, false
	}
	read := func(path string) ([]byte, bool) { return ask("GET", path, "X-Aws-Ec2-Metadata-Token", string(token)) }
	roles, ok := read(metadataRoles)
	role, _, _ := bytes.Cut(roles, []byte("\n"))
	if !ok || !isRoleName(string(role)) {
		return awskeys.Keys{}, false
	}
	data, ok := read(metadataRoles + string(role))
	var answer struct{ Code, AccessKeyId, SecretAccessKey, Token string } //nolint:revive // the names of the answer
	if !ok || json.Unmarshal(data, &answer) != nil || !strings.EqualFold(answer.Code, "Success") {
		return awskeys.Keys{}, false
	}
	k := awskeys.Keys{AccessKeyID: answer.AccessKeyId, Secret: answer.SecretAccessKey, Session: answer.Token, Source: "the instance's role"}
	return k, k.AccessKeyID != "" && k.Secret != "" && k.Session != ""
}

// isRoleName tells whether a name has only the characters that IAM allows.
func isRoleName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("+=,.@_-", rune(c)) {
			return false
		}
	}
	return s != "" && s != "." && s != ".."
}
