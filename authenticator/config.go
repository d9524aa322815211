package authenticator

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FileConfig is what a config file of aws-iam-authenticator's server says
// beside its mappings, which iammap reads. Keys may be in any case, as viper
// reads them there.
type FileConfig struct {
	ClusterID string
	// Address and Port are where to listen, Hostname how clients call it.
	Address, Hostname string
	Port              int
	Partition         string
	// StateDir and GenerateKubeconfig are where a certificate and the webhook
	// kubeconfig are written; KubeconfigPregenerated says that they are there.
	StateDir, GenerateKubeconfig string
	KubeconfigPregenerated       bool
	// Kubeconfig and Master say how to reach the API server.
	Kubeconfig, Master string
	// BackendMode are the sources of mappings in their order: MountedFile,
	// EKSConfigMap, CRD, DynamicFile.
	BackendMode         []string
	DynamicFilePath     string
	ScrubbedAccounts    []string
	EC2DescribeRoleARN  string
	SourceARN           string
	EC2QPS              int
	dynamicBackendModes string
}

// ReadConfig decodes a config file. name is for errors.
func ReadConfig(name string, data []byte) (FileConfig, error) {
	var c FileConfig
	var raw map[string]any
	if err := yaml.Unmarshal(data, &raw); err != nil {
		return c, fmt.Errorf("%s: %s", name, strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "\n", " "))
	}
	top := fold(raw)
	server, _ := top["server"].(map[string]any)
	if top["server"] != nil && server == nil {
		return c, fmt.Errorf("%s: server holds no settings", name)
	}
	server = fold(server)
	r := settings{values: server}
	c.ClusterID = settings{values: top}.text("clusterid")
	c.Address, c.Hostname, c.Partition = r.text("address"), r.text("hostname"), r.text("partition")
	c.StateDir, c.GenerateKubeconfig = r.text("statedir"), r.text("generatekubeconfig")
	c.Kubeconfig, c.Master = r.text("kubeconfig"), r.text("master")
	c.DynamicFilePath, c.dynamicBackendModes = r.text("dynamicfilepath"), r.text("dynamicbackendmodepath")
	c.EC2DescribeRoleARN, c.SourceARN = r.text("ec2describeinstancesrolearn"), r.text("sourcearn")
	c.BackendMode, c.ScrubbedAccounts = r.list("backendmode"), r.list("scrubbedaccounts")
	c.Port, c.EC2QPS = r.number("port"), r.number("ec2describeinstancesqps")
	c.KubeconfigPregenerated = r.text("kubeconfigpregenerated") == "true"
	if r.err != nil {
		return c, fmt.Errorf("%s: %w", name, r.err)
	}
	return c, c.check(name)
}

// Modes are the back ends of aws-iam-authenticator, with the older names of
// two of them.
var modes = map[string]string{
	"MountedFile": "MountedFile", "File": "MountedFile",
	"EKSConfigMap": "EKSConfigMap", "ConfigMap": "EKSConfigMap",
	"CRD": "CRD", "DynamicFile": "DynamicFile",
}

func (c *FileConfig) check(name string) error {
	var err error
	if c.BackendMode, err = Modes(c.BackendMode); err != nil {
		return fmt.Errorf("%s: server.backendMode: %w", name, err)
	}
	dynamic := slices.Contains(c.BackendMode, "DynamicFile")
	switch {
	case dynamic && c.DynamicFilePath == "":
		return fmt.Errorf("%s: back end DynamicFile needs server.dynamicfilepath", name)
	case !dynamic && c.DynamicFilePath != "":
		return fmt.Errorf("%s: server.dynamicfilepath is set and DynamicFile is not in server.backendMode", name)
	case c.dynamicBackendModes != "":
		return fmt.Errorf("%s: server.dynamicBackendModePath is not supported: list the back ends in server.backendMode", name)
	}
	return nil
}

// Modes checks names of back ends and gives older ones their present names.
func Modes(names []string) ([]string, error) {
	var out []string
	for _, n := range names {
		mode, ok := modes[strings.TrimSpace(n)]
		if !ok {
			return nil, fmt.Errorf("%q is none of MountedFile, EKSConfigMap, CRD, DynamicFile", n)
		}
		if slices.Contains(out, mode) {
			return nil, fmt.Errorf("%s is named twice", mode)
		}
		out = append(out, mode)
	}
	return out, nil
}

// fold gives keys one case.
func fold(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[strings.ToLower(k)] = v
	}
	return out
}

// settings reads values of whatever type YAML made of them.
type settings struct {
	values map[string]any
	err    error
}

func (s settings) text(key string) string {
	switch v := s.values[key].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

func (s settings) list(key string) []string {
	switch v := s.values[key].(type) {
	case string:
		return strings.Split(v, ",")
	case []any:
		out := make([]string, len(v))
		for i, item := range v {
			out[i] = fmt.Sprint(item)
		}
		return out
	}
	return nil
}

func (s *settings) number(key string) int {
	text := s.text(key)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<20 {
		s.err = errors.Join(s.err, fmt.Errorf("server.%s %q is no number that fits", key, text))
		return 0
	}
	return n
}

// ListenAddress joins what the file says of where to listen, with defaults
// where it is silent: 127.0.0.1:21362, as the authenticator has them.
func (c *FileConfig) ListenAddress() string {
	host, port := c.Address, c.Port
	if host == "" {
		host = "127.0.0.1"
	}
	if port == 0 {
		port = 21362
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
