// Issuer is a stand-in for programs that issue credentials, speaking the real
// protocols: kubectl's exec credentials (client.authentication.k8s.io v1 and
// v1beta1) and the kubelet's image credential providers
// (credentialprovider.kubelet.k8s.io). Which one it speaks follows from how it
// is asked. What it answers is in its environment:
//
//	LAB_TOKEN_FILE        the token for kubectl
//	LAB_CREDENTIALS_FILE  USERNAME:PASSWORD for the kubelet
//	LAB_CALLS             a file to which it appends what it was asked, one JSON a line
//	LAB_API_VERSION       the one version that it speaks with kubectl, such as v1alpha1
//	LAB_FAIL              exit with status 1 and this on stderr
//
// An argument --cache-key-type TYPE is the cacheKeyType of its answer to the
// kubelet, which is Registry without it.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "issuer:", err)
		os.Exit(1)
	}
}

func run() error {
	if info := os.Getenv("KUBERNETES_EXEC_INFO"); info != "" {
		return client(info)
	}
	return image(os.Stdin)
}

func client(info string) error {
	var asked struct {
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal([]byte(info), &asked); err != nil {
		return fmt.Errorf("KUBERNETES_EXEC_INFO: %w", err)
	}
	if err := note(info); err != nil {
		return err
	}
	speaks := []string{"v1", "v1beta1"}
	if only := os.Getenv("LAB_API_VERSION"); only != "" {
		speaks = []string{only}
	}
	version, ours := strings.CutPrefix(asked.APIVersion, "client.authentication.k8s.io/")
	if !ours || !slices.Contains(speaks, version) {
		return fmt.Errorf("KUBERNETES_EXEC_INFO asks for %s; this issuer speaks %s", asked.APIVersion, strings.Join(speaks, " and "))
	}
	token, err := os.ReadFile(os.Getenv("LAB_TOKEN_FILE"))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"kind": "ExecCredential", "apiVersion": asked.APIVersion,
		"status": map[string]any{
			"token":               strings.TrimSpace(string(token)),
			"expirationTimestamp": time.Now().Add(15 * time.Minute).UTC().Format(time.RFC3339),
		},
	})
}

func image(stdin io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(stdin, 1<<20))
	if err != nil {
		return err
	}
	var asked struct {
		APIVersion string `json:"apiVersion"`
		Image      string `json:"image"`
	}
	if err := json.Unmarshal(data, &asked); err != nil {
		return fmt.Errorf("the request on stdin: %w", err)
	}
	if err := note(string(data)); err != nil {
		return err
	}
	credentials, err := os.ReadFile(os.Getenv("LAB_CREDENTIALS_FILE"))
	if err != nil {
		return err
	}
	user, password, _ := strings.Cut(strings.TrimSpace(string(credentials)), ":")
	host, _, _ := strings.Cut(asked.Image, "/")
	keyType := "Registry"
	if len(os.Args) == 3 && os.Args[1] == "--cache-key-type" {
		keyType = os.Args[2]
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"kind": "CredentialProviderResponse", "apiVersion": asked.APIVersion,
		"cacheKeyType": keyType, "cacheDuration": "10m",
		"auth": map[string]any{host: map[string]string{"username": user, "password": password}},
	})
}

// note keeps what was asked, and fails where it is told to.
func note(request string) error {
	if name := os.Getenv("LAB_CALLS"); name != "" {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := fmt.Fprintln(f, strings.ReplaceAll(request, "\n", " ")); err != nil {
			return err
		}
	}
	if fail := os.Getenv("LAB_FAIL"); fail != "" {
		return fmt.Errorf("%s", fail)
	}
	return nil
}
