package main

import (
	"bytes"
	"flag"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"
)

type keyringQuestion struct {
	Config string `json:"config"`
	BinDir string `json:"binDir"`
	// ServiceAccounts are those of the cluster. Their token is "token-of-NAME".
	ServiceAccounts []serviceAccount `json:"serviceAccounts"`
	// Lookups are answered one after the other, with the kubelet's caches between.
	Lookups []lookup `json:"lookups"`
}

type serviceAccount struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	UID         string            `json:"uid"`
	Annotations map[string]string `json:"annotations"`
}

type lookup struct {
	Image          string `json:"image"` // a repository
	Namespace      string `json:"namespace"`
	Pod            string `json:"pod"`
	PodUID         string `json:"podUID"`
	ServiceAccount string `json:"serviceAccount"`
}

type keyringAnswer struct {
	Refusal string         `json:"refusal"`
	Lookups []lookupAnswer `json:"lookups"`
}

type lookupAnswer struct {
	// Credentials are in the order in which the kubelet tries them.
	Credentials []credential `json:"credentials"`
	// Log is what the kubelet logged, failures of plugins above all.
	Log string `json:"log"`
}

type credential struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func keyring(q keyringQuestion) (keyringAnswer, error) {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(flags)
	if err := flags.Parse([]string{"-logtostderr=false", "-stderrthreshold=FATAL", "-one_output"}); err != nil {
		return keyringAnswer{}, err
	}
	var log bytes.Buffer
	klog.SetOutput(&log)
	find := func(namespace, name string) (*corev1.ServiceAccount, error) {
		for _, a := range q.ServiceAccounts {
			if a.Namespace == namespace && a.Name == name {
				return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(a.UID), Annotations: a.Annotations}}, nil
			}
		}
		return nil, fmt.Errorf("serviceaccount %q not found", name)
	}
	token := func(namespace, name string, tr *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
		tr.Status.Token = "token-of-" + name
		return tr, nil
	}
	var a keyringAnswer
	if err := plugin.RegisterCredentialProviderPlugins(q.Config, q.BinDir, token, find); err != nil {
		a.Refusal = err.Error()
		return a, nil
	}
	for _, l := range q.Lookups {
		log.Reset()
		found, _ := plugin.NewExternalCredentialProviderDockerKeyring(l.Namespace, l.Pod, l.PodUID, l.ServiceAccount).Lookup(l.Image)
		answer := lookupAnswer{Credentials: []credential{}}
		for _, c := range found {
			answer.Credentials = append(answer.Credentials, credential{c.Username, c.Password})
		}
		klog.Flush()
		answer.Log = log.String()
		a.Lookups = append(a.Lookups, answer)
	}
	return a, nil
}
