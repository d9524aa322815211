package authenticator

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubecred/kubecred/iammap"
)

// review is what a TokenReview looks like to encoding/json.
type review struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		CreationTimestamp *string `json:"creationTimestamp"`
	} `json:"metadata"`
	Spec   struct{} `json:"spec"`
	Status struct {
		Authenticated bool   `json:"authenticated"`
		User          *user  `json:"user,omitempty"`
		Error         string `json:"error,omitempty"`
	} `json:"status"`
}

type user struct {
	Username string              `json:"username"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

// TestAppendReview compares with encoding/json, byte by byte.
func TestAppendReview(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9:/<>&"\\{}@. -]{0,30}`), rapid.Just("\xff\u2028"))
	rapid.Check(t, func(t *rapid.T) {
		text := func(what string) string { return texts.Draw(t, what) }
		id := &iammap.Identity{
			ARN: text("arn"), Canonical: text("canonical"), Account: text("account"), UserID: text("user id"),
			Session: text("session"), AccessKeyID: text("access key"),
		}
		d := decision{
			result: rapid.SampledFrom([]string{resultAuthenticated, resultUnmapped}).Draw(t, "result"),
			user:   iammap.ClusterUser{Username: text("username"), Groups: rapid.SliceOfN(texts, -1, 3).Draw(t, "groups")},
			id:     id, scrubbed: rapid.Bool().Draw(t, "scrubbed"), review: "0123456789ab",
		}
		if rapid.Bool().Draw(t, "no groups") {
			d.user.Groups = nil
		}
		version := rapid.SampledFrom([]string{groupV1, groupV1beta1}).Draw(t, "version")
		want := review{APIVersion: version, Kind: kindReview}
		switch {
		case d.result != resultAuthenticated:
			want.Status.Error = "not authenticated; the webhook's log says why, review 0123456789ab"
		case d.scrubbed:
			want.Status.Authenticated = true
			want.Status.User = &user{Username: d.user.Username, UID: "aws-iam-authenticator:administrative:" + d.user.Username, Groups: d.user.Groups}
		default:
			want.Status.Authenticated = true
			want.Status.User = &user{
				Username: d.user.Username, UID: "aws-iam-authenticator:" + id.Account + ":" + id.UserID, Groups: d.user.Groups,
				Extra: map[string][]string{
					"arn": {id.ARN}, "canonicalArn": {id.Canonical}, "sessionName": {id.Session},
					"accessKeyId": {id.AccessKeyID}, "principalId": {id.UserID},
					"sigs.k8s.io/aws-iam-authenticator/principalId": {id.UserID},
				},
			}
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(want); err != nil {
			t.Fatal(err)
		}
		a := &answer{decision: d}
		for range 2 { // made, and kept
			if got := a.body(version); !bytes.Equal(got, b.Bytes()) {
				t.Fatalf("got  %s\nwant %s", got, b.Bytes())
			}
		}
	})
}
