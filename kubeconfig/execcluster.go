package kubeconfig

// ExecCluster is what a client passes to the plugin of a user as spec.cluster: the
// cluster of the first context that uses it, and nil where the exec block has no
// provideClusterInfo (k8s.io/client-go tools/clientcmd/client_config.go).
func (f *File) ExecCluster(user string) map[string]any {
	for _, u := range f.Users {
		if u.Name.Value != user || u.Exec == nil {
			continue
		}
		if p, ok := get(u.Exec.node, "provideClusterInfo"); !ok || newScalar(p.value).Value != "true" {
			return nil
		}
		for _, ctx := range f.Contexts {
			if ctx.User.Value != user {
				continue
			}
			for _, c := range f.Clusters {
				if c.Name.Value == ctx.Cluster.Value {
					return execCluster(c)
				}
			}
		}
	}
	return nil
}

func execCluster(c Cluster) map[string]any {
	out := map[string]any{"server": c.Server.Value}
	body, _ := value(orNull(c.body)).(map[string]any)
	for _, key := range []string{"certificate-authority-data", "tls-server-name", "insecure-skip-tls-verify", "proxy-url", "disable-compression"} {
		if v, ok := body[key]; ok && v != nil {
			out[key] = v
		}
	}
	list, _ := body["extensions"].([]any)
	for _, e := range list {
		if m, _ := e.(map[string]any); m["name"] == "client.authentication.k8s.io/exec" {
			out["config"] = m["extension"]
		}
	}
	return out
}
