package kubeconfig

import (
	"path"
	"strings"
)

// EKS is a cluster of Amazon EKS and who wants to reach it.
type EKS struct {
	Name, ARN, Region string
	ID                string // of a local cluster on Outposts, else ""
	Server, CAData    string
	// Role and Profile are the identity; both may be empty.
	Role, Profile string
	// Issuer is "kubecred", "aws" or "aws-iam-authenticator".
	Issuer string
	// Command is the program to write as command, where it is not the issuer's
	// bare name.
	Command string
	// ContextAlias, UserAlias and Namespace are as the person asked; "" for none.
	ContextAlias, UserAlias, Namespace string
}

// Program is the bare name of the program that an issuer's entry runs.
func (c EKS) Program() string {
	switch c.Issuer {
	case "aws", "aws-iam-authenticator":
		return c.Issuer
	}
	return Broker
}

// Entry is what the kubeconfig should hold for the cluster.
func (c EKS) Entry(f *File) Entry {
	user := c.userName(f)
	return Entry{
		Cluster: c.ARN, User: user, Context: c.contextName(f, user),
		Server: c.Server, CAData: c.CAData, Namespace: c.Namespace, Exec: c.exec(),
	}
}

func (c EKS) exec() ExecSpec {
	x := ExecSpec{
		APIVersion: execGroup + V1, InteractiveMode: "IfAvailable",
		Command: c.Command, InstallHint: "see https://github.com/kubecred/kubecred for kubecred-exec and kubecred-aws",
	}
	if x.Command == "" {
		x.Command = c.Program()
	}
	name, value := "--cluster-name", c.Name
	if c.ID != "" {
		name, value = "--cluster-id", c.ID
	}
	switch c.Issuer {
	case "aws":
		x.InstallHint = "install the AWS CLI, 1.24.0 or 2.7.0 at least: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
		x.Args = []string{"--region", c.Region, "eks", "get-token", name, value, "--output", "json"}
		if c.Role != "" {
			x.Args = append(x.Args, "--role-arn", c.Role)
		}
	case "aws-iam-authenticator":
		x.InstallHint = "install aws-iam-authenticator, 0.5.3 at least: https://github.com/kubernetes-sigs/aws-iam-authenticator/releases"
		x.Args = []string{"token", "-i", value, "--region", c.Region}
		if c.Role != "" {
			x.Args = append(x.Args, "-r", c.Role)
		}
	default:
		x.Args = []string{"client", "--", "kubecred-aws", "token", name, value, "--region", c.Region}
		if c.Role != "" {
			x.Args = append(x.Args, "--role-arn", c.Role)
		}
	}
	if c.Profile != "" {
		x.Env = [][2]string{{"AWS_PROFILE", c.Profile}}
	}
	return x
}

// identity is what a user entry of EKS acts as.
type identity struct{ role, profile, cluster string }

func identityOf(u User) (identity, bool) {
	if u.Exec == nil {
		return identity{}, false
	}
	_, args := u.Exec.Issuer()
	var id identity
	id.role, _ = flag(args, "--role-arn", "--role", "-r")
	id.profile, _ = flag(args, "--profile")
	id.cluster, _ = flag(args, "--cluster-name", "--cluster-id", "-i")
	for _, v := range u.Exec.Env {
		if v.Name.Value == "AWS_PROFILE" {
			id.profile = v.Value.Value
		}
	}
	return id, true
}

func (c EKS) identity() identity {
	id := identity{c.Role, c.Profile, c.Name}
	if c.ID != "" {
		id.cluster = c.ID
	}
	return id
}

// userName is the cluster's ARN, as the AWS CLI has it, but where that name is
// another identity's: two roles of one cluster get two users.
func (c EKS) userName(f *File) string {
	if c.UserAlias != "" {
		return c.UserAlias
	}
	users := map[string]User{}
	for _, u := range f.Users {
		if _, ok := users[u.Name.Value]; !ok {
			users[u.Name.Value] = u
		}
	}
	for _, name := range c.userNames() {
		u, taken := users[name]
		if !taken {
			return name
		}
		if id, ok := identityOf(u); ok && id == c.identity() {
			return name
		}
	}
	names := c.userNames()
	return names[len(names)-1]
}

// userNames are the names to try, the last of which tells every identity apart.
func (c EKS) userNames() []string {
	short, long := path.Base(c.Role), c.Role
	if c.Role == "" {
		short, long = "", ""
	}
	if c.Profile != "" {
		short, long = strings.Trim(short+"@"+c.Profile, "@"), strings.Trim(long+"@"+c.Profile, "@")
	}
	if long == "" {
		short, long = "default", "default"
	}
	return []string{c.ARN, c.ARN + "@" + short, c.ARN + "@" + long}
}

// contextName is the alias, or the cluster's ARN but where that context belongs to
// another identity of the cluster.
func (c EKS) contextName(f *File, user string) string {
	if c.ContextAlias != "" {
		return c.ContextAlias
	}
	for _, ctx := range f.Contexts {
		if ctx.Name.Value != c.ARN || ctx.User.Value == user {
			continue
		}
		for _, u := range f.Users {
			if id, ok := identityOf(u); ok && u.Name.Value == ctx.User.Value && id.cluster == c.identity().cluster {
				return user
			}
		}
	}
	return c.ARN
}
