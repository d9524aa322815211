package imagecred

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

const (
	codeNoProvider   = "KC240"
	codeDockerConfig = "KC245"
	codeFlags        = "KC247"
)

// Lint judges a kubelet's flags and its docker config. The config that the
// flags name is judged by [Load] and [Lint].
func (k Kubelet) Lint() []finding.Finding {
	var out []finding.Finding
	subject := "kubelet, " + k.Source
	switch {
	case k.Config == "" && k.BinDir == "":
		f := finding.New(codeNoProvider, subject, "runs without a credential provider: private images need imagePullSecrets or a docker config on the node")
		f.Severity = finding.Info
		f.Details = []string{"the built-in provider for Amazon ECR is gone since " + Since(NoBuiltInAWS).String()}
		f.Fix.Summary = "install a provider such as ecr-credential-provider and give the kubelet --" + flagConfig + " and --" + flagBinDir + ", if images need it"
		out = append(out, f)
	case k.Config == "":
		f := finding.New(codeFlags, subject, "has --"+flagBinDir+" and no --"+flagConfig+": the kubelet does not start")
		f.Severity = finding.Error
		f.Fix.Summary = "give it both flags or none"
		f.Evidence["kubelet"] = "credential provider config path is empty"
		out = append(out, f)
	case k.BinDir == "" && (k.Running || strings.Contains(k.Source, "kubelet")):
		f := finding.New(codeFlags, subject, "has --"+flagConfig+" and no --"+flagBinDir+": the kubelet does not start")
		f.Severity = finding.Error
		f.Fix.Summary = "give it both flags or none"
		f.Evidence["kubelet"] = "plugin binary directory  did not exist"
		out = append(out, f)
	}
	return append(out, k.dockerConfigs()...)
}

// dockerConfigs looks where the kubelet looks for a docker config
// (pkg/credentialprovider/config.go) for what it ignores there.
func (k Kubelet) dockerConfigs() []finding.Finding {
	var out []finding.Finding
	for _, name := range []string{
		filepath.Join(k.RootDir, "config.json"),
		filepath.Join(k.Home, "/root/.docker/config.json"),
		filepath.Join(k.Home, "/.docker/config.json"),
	} {
		data, err := readSmall(name)
		if err != nil {
			continue
		}
		var config map[string]json.RawMessage
		if json.Unmarshal(data, &config) != nil {
			continue
		}
		var ignored []string
		for _, key := range []string{"credHelpers", "credsStore"} {
			if _, ok := config[key]; ok {
				ignored = append(ignored, key)
			}
		}
		if len(ignored) == 0 {
			continue
		}
		f := finding.New(codeDockerConfig, "docker config of the node", "names "+strings.Join(ignored, " and ")+", which the kubelet ignores: it reads auths alone")
		f.Where = finding.Where{File: name, Line: lineOf(data, `"`+ignored[0]+`"`)}
		f.Fix.Summary = "configure a kubelet credential provider for these registries"
		if !slices.Contains(ignored, "credHelpers") {
			f.Fix.Summary = "configure a kubelet credential provider, or write the credentials under auths"
		}
		out = append(out, f)
	}
	return out
}
