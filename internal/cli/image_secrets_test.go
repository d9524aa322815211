//go:build unix

package cli_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubecred/kubecred/broker"
	"github.com/kubecred/kubecred/credapi"
	"github.com/kubecred/kubecred/internal/cli"
)

// mark is a secret that says where it was put; it has the look of one.
func mark(where string) string {
	return "Mark" + strings.ToUpper(where[:1]) + where[1:] + "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3"
}

// plugins are what a plugin may do, as shell scripts, with a marked secret in every
// place that one may come to.
func plugins() map[string]string {
	answer := func(more string) string {
		return `echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry",` +
			`"cacheDuration":"1h","auth":{"reg.io":{"username":"` + mark("user") + `","password":"` + mark("password") + `"}}` + more + "}'\n"
	}
	in := func(part, other string) string { return strings.Replace(answer(""), part, other, 1) }
	// It says all it knows: what it was told, where it runs and with what.
	babble := `echo "asked: $(cat)" >&2; echo "$PLUGIN_SECRET ` + mark("stderr") + ` password: hunter2 eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln" >&2` + "\n"
	return map[string]string{
		"ok":                 babble + answer(""),
		"by image":           babble + in("Registry", "Image"),
		"fails":              babble + answer("") + "exit 1",
		"fails for good":     babble + "exit 2",
		"is ended":           babble + "kill -9 $$",
		"garbage":            babble + "echo " + mark("password") + "; echo " + mark("user"),
		"half an answer":     babble + strings.TrimSuffix(answer(""), "}}}'\n") + "'",
		"an unknown field":   babble + answer(`,"note":"`+mark("password")+`"`),
		"a wrong type":       babble + in(`"`+mark("password")+`"`, `["`+mark("password")+`"]`),
		"no duration":        babble + in(`"1h"`, `"`+mark("password")+`"`),
		"another's duration": babble + in(`"1h"`, `{"`+mark("password")+`":1}`),
		"a wrong key type":   babble + in("Registry", "Everything"),
		"two answers":        babble + answer("") + answer(""),
		"hangs":              babble + answer("") + "exec sleep 60",
		"much":               babble + "while :; do echo " + mark("password") + "; done",
		"nothing":            babble,
	}
}

// Whatever a plugin does with its secrets, and be its name kubecred-aws, whose
// words are kept: neither the journal nor what is told of it has any.
func TestNoSecretInJournalOrStory(t *testing.T) {
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(`{"sub":"system:serviceaccount:apps:web","exp":4102444800}`)) + "." + encode([]byte(mark("token")))
	secrets := []string{
		mark("user"), mark("password"), mark("stderr"), mark("environment"), mark("annotation"), token, encode([]byte(mark("token"))), "hunter2",
		"eyJhbGciOiJSUzI1NiJ9",
	}
	for name, script := range plugins() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, program := range []string{"plugin", "kubecred-aws"} {
				bin, cache := t.TempDir(), filepath.Join(t.TempDir(), "cache")
				path := filepath.Join(bin, program)
				if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
					t.Fatal(err)
				}
				request := credapi.ProviderRequest{Image: "reg.io/a", ServiceAccountToken: token, ServiceAccountAnnotations: map[string]string{"role": mark("annotation")}}
				b := broker.New(cache, append(os.Environ(), "PLUGIN_SECRET="+mark("environment")))
				b.Stdin, b.Stderr, b.Timeout = nil, nil, 500*time.Millisecond
				ask, err := b.Image(request.Encode(credapi.ProviderV1), path, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = ask.Issue(t.Context())
				journal, err := os.ReadFile(filepath.Join(cache, "image-journal"))
				if err != nil || len(journal) == 0 {
					t.Fatalf("nothing is written down: %v", err)
				}
				texts := map[string]string{"journal": string(journal)}
				for _, args := range []string{"-o text", "-o json", "-o text --run", "-o json --run"} {
					if strings.Contains(args, "--run") && (name == "hangs" || name == "much") {
						continue // that takes a kubelet's minute
					}
					texts[args] = explainWith(t, bin, program, cache, strings.Fields(args))
				}
				if !strings.Contains(texts["-o text"], "what kubecred-exec did for this registry") {
					t.Errorf("the journal is not told of: %s", texts["-o text"])
				}
				for where, text := range texts {
					for _, secret := range secrets {
						if secret == mark("user") && strings.Contains(where, "--run") {
							continue // whose login it is, is what --run is asked for
						}
						if strings.Contains(text, secret) {
							t.Errorf("%s: %q is in %s:\n%s", program, secret, where, text)
						}
					}
				}
			}
		})
	}
}

func explainWith(t *testing.T, bin, program, cache string, args []string) string {
	t.Helper()
	config := filepath.Join(bin, "config.yaml")
	text := `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ` + program + `
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: [reg.io]
  defaultCacheDuration: 1h
  env:
  - {name: PLUGIN_SECRET, value: ` + mark("environment") + `}
  - {name: ` + broker.DirEnv + `, value: ` + cache + `}
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cli.Run(t.Context(), append([]string{"kubecred", "image", "explain", "--config", config, "--bin-dir", bin, "reg.io/a:1"}, args...), cli.World{
		Stdout: &out, Stderr: &errs, Getenv: os.Getenv, Now: time.Now,
	})
	return out.String() + errs.String()
}
