// Package awsquick answers the question that kubecred-aws is asked most before
// the program has started: a token with keys that need no call to get.
//
// The AWS SDK makes its tables when a program starts, regular expressions for
// each service among them, whether or not anything is asked of it: that is more
// than half of what a token would cost. Go initializes packages in the order of
// their import paths, as soon as all that they import is initialized (The Go
// Programming Language Specification, Program initialization). This package
// imports nothing that comes after the SDK's packages, which need net/http, and
// so it comes before them. A test holds that no package of the SDK is initialized
// for such a token.
//
// It answers only where nothing is out of the ordinary. In every other case, and
// for every error, it does nothing, and the program goes on to do the same in
// full. Passwords of registries are package awsquickecr's, which needs more of the
// standard library and so comes later.
package awsquick

import (
	"cmp"
	"os"
	"time"

	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/awscommand"
	"github.com/kubecred/kubecred/internal/awskeys"
)

func init() {
	out, ok := answer(os.Args[1:], time.Now)
	if !ok {
		return
	}
	if _, err := os.Stdout.WriteString(out); err != nil {
		_, _ = os.Stderr.WriteString("kubecred-aws: " + err.Error() + "\n")
		os.Exit(2)
	}
	os.Exit(0)
}

// answer is what is to be printed, where that is plain.
func answer(args []string, now func() time.Time) (string, bool) {
	o, err := awscommand.Parse(args)
	if err != nil || o.Command != awscommand.Token || len(o.Roles) > 0 || o.Cache {
		return "", false
	}
	version := credapi.ExecV1Beta1
	if info := os.Getenv(credapi.ExecInfoEnv); info != "" {
		ask, err := credapi.ParseExecInfo([]byte(info))
		if err != nil {
			return "", false
		}
		version = ask.APIVersion
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", false // the SDK knows where else to look
	}
	k, s, ok := awskeys.Static(awskeys.World{Getenv: os.Getenv, Home: home}, o.Profile)
	if !ok {
		return "", false
	}
	s.Region = cmp.Or(o.Region, s.Region)
	t, err := awskeys.Sign(k, s, cmp.Or(o.ClusterID, o.ClusterName), now(), 0)
	if err != nil {
		return "", false
	}
	if o.TokenOnly {
		return t.Token + "\n", true
	}
	c := credapi.ExecCredential{Token: t.Token, Expiration: t.Expires}
	return string(c.Encode(version)) + "\n", true
}
