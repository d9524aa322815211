package main

import (
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
)

// secretsQuestion is what a pod and its node bring to a pull without plugins.
type secretsQuestion struct {
	Secrets []pullSecret `json:"secrets"`
	// Dir is a folder with the node's config.json or .dockercfg.
	Dir string `json:"dir"`
	// Files are written there, by their names.
	Files  map[string]string `json:"files"`
	Images []string          `json:"images"` // repositories
}

type pullSecret struct {
	Name string            `json:"name"`
	Type string            `json:"type"`
	Data map[string][]byte `json:"data"`
}

type secretsAnswer struct {
	// Error is that with which each pull of the pod fails.
	Error   string         `json:"error"`
	Lookups [][]credential `json:"lookups"`
}

// pullSecrets does what makeLookupPullCredentialsFunc does in
// pkg/kubelet/images/image_manager.go, without plugins.
func pullSecrets(q secretsQuestion) secretsAnswer {
	var a secretsAnswer
	for name, text := range q.Files {
		file := filepath.Join(q.Dir, filepath.Base(name))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return secretsAnswer{Error: "oracle: " + err.Error()}
		}
		defer os.Remove(file)
	}
	credentialprovider.SetPreferredDockercfgPath(q.Dir)
	var passed []corev1.Secret
	for _, s := range q.Secrets {
		passed = append(passed, corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: s.Name}, Type: corev1.SecretType(s.Type), Data: s.Data})
	}
	keyring, err := secrets.MakeDockerKeyring(passed, credentialprovider.UnionDockerKeyring{credentialprovider.NewDefaultDockerKeyring()})
	if err != nil {
		a.Error = err.Error()
		return a
	}
	for _, image := range q.Images {
		found, _ := keyring.Lookup(image)
		one := []credential{}
		for _, c := range found {
			one = append(one, credential{c.Username, c.Password})
		}
		a.Lookups = append(a.Lookups, one)
	}
	return a
}
