package kubeconfig

import (
	"bufio"
	"bytes"
	"path/filepath"
	"strings"

	"github.com/kubecred/kubecred/finding"
)

// aws judges an entry of the AWS CLI.
func (c *checker) aws(u User, who string) {
	x := u.Exec
	args := x.ArgValues()
	profile := c.awsProfile(x, args)
	if found := c.find(x.Command.Value); len(found) > 1 && !c.saidTwo {
		c.saidTwo = true
		f := c.add("KC118", who, x.Command.Place, "two AWS CLIs are in PATH; the first one runs: %s", found[0])
		f.Details = []string{"the others are " + list(found[1:]), "a terminal, a program with a window and CI may each meet another one, of another version"}
		f.Fix = finding.Fix{Summary: "remove one, or write the absolute path as command"}
	}
	c.awsOutput(x, who, args, profile)
	c.awsRegion(x, who, args, profile)
	c.awsProfileKnown(x, who, profile)
	for _, wrong := range []string{"-i", "-r"} {
		if _, ok := flag(args, wrong); ok {
			f := c.add("KC109", who, x.Place, "%s is a flag of aws-iam-authenticator; the AWS CLI refuses it", wrong)
			f.Fix = finding.Fix{Summary: "write --cluster-name for -i, --role-arn for -r"}
		}
	}
	_, name := flag(args, "--cluster-name")
	_, id := flag(args, "--cluster-id")
	if !name && !id {
		f := c.add("KC109", who, x.Place, "aws eks get-token without --cluster-name")
		f.Fix = finding.Fix{Summary: "add --cluster-name NAME to args"}
	}
}

func (c *checker) iamAuthenticator(u User, who string) {
	args := u.Exec.ArgValues()
	c.awsProfileKnown(u.Exec, who, c.awsProfile(u.Exec, args))
	if len(args) > 0 && args[0] != "token" && !hasAll(args, []string{"token"}) {
		f := c.add("KC109", who, u.Exec.Place, "aws-iam-authenticator is run without 'token', so it prints no credential")
		f.Fix = finding.Fix{Summary: "args: token -i CLUSTER"}
	}
}

// awsProfile is the profile that the AWS SDKs will use.
func (c *checker) awsProfile(x *Exec, args []string) string {
	if p, ok := flag(args, "--profile"); ok {
		return p
	}
	if p := c.envValue(x, "AWS_PROFILE"); p != "" {
		return p
	}
	return c.envValue(x, "AWS_DEFAULT_PROFILE")
}

// awsOutput: get-token prints in the format that the configuration names
// (aws/aws-cli awscli/customizations/eks/get_token.py).
func (c *checker) awsOutput(x *Exec, who string, args []string, profile string) {
	if out, ok := flag(args, "--output"); ok {
		if out != "json" {
			f := c.add("KC111", who, x.Place, "--output %s: what the AWS CLI then prints is no ExecCredential", out)
			f.Fix = finding.Fix{Summary: "write --output json"}
		}
		return
	}
	from := "AWS_DEFAULT_OUTPUT"
	out := c.envValue(x, "AWS_DEFAULT_OUTPUT")
	if out == "" {
		out, from = c.awsSetting(x, profile, "output"), "output in "+c.awsConfigPath(x)
	}
	switch out {
	case "", "json":
		if !c.saidOutput {
			c.saidOutput = true
			f := c.add("KC111", who, x.Place, "--output json is not passed: where the AWS config says output = text, table or yaml, get-token prints no ExecCredential")
			f.Severity = finding.Info
			f.Details = []string{"a client then says: decoding stdout: couldn't get version/kind; json parse error"}
			f.Fix = finding.Fix{Summary: "add --output json to args"}
		}
	default:
		f := c.add("KC111", who, x.Place, "%s is %s, so get-token prints no ExecCredential: --output json is not passed", from, out)
		f.Details = []string{"a client says: decoding stdout: couldn't get version/kind; json parse error"}
		f.Fix = finding.Fix{Summary: "add --output json to args"}
	}
}

// awsRegion: get-token needs a region, from the arguments, the environment or the
// profile.
func (c *checker) awsRegion(x *Exec, who string, args []string, profile string) {
	region, ok := flag(args, "--region")
	if ok && region != "" {
		return
	}
	if c.envValue(x, "AWS_REGION") != "" || c.envValue(x, "AWS_DEFAULT_REGION") != "" || c.awsSetting(x, profile, "region") != "" {
		return
	}
	f := c.add("KC117", who, x.Place, "no region: neither --region nor AWS_REGION, AWS_DEFAULT_REGION or the profile names one")
	f.Details = []string{"the AWS CLI then says: You must specify a region"}
	f.Fix = finding.Fix{Summary: "add --region REGION to args"}
}

// awsProfileKnown: a profile that exec.env or the arguments name must exist.
func (c *checker) awsProfileKnown(x *Exec, who, profile string) {
	if profile == "" || c.env.ReadFile == nil {
		return
	}
	config, errConfig := c.env.ReadFile(c.awsConfigPath(x))
	creds, errCreds := c.env.ReadFile(c.awsCredentialsPath(x))
	_, inConfig := iniSection(config, "profile "+profile)
	if profile == "default" {
		_, inConfig = iniSection(config, "default")
	}
	_, inCreds := iniSection(creds, profile)
	if inConfig || inCreds {
		return
	}
	f := c.add("KC117", who, x.Place, "the AWS profile %s is not in %s", quoted(profile), c.awsConfigPath(x))
	if errConfig != nil && errCreds != nil {
		f.Message += ", which is not there"
	}
	f.Details = []string{"the plugin then says: The config profile (" + profile + ") could not be found"}
	f.Fix = finding.Fix{Summary: "make the profile", Command: "aws configure --profile " + profile}
}

func (c *checker) awsConfigPath(x *Exec) string {
	return c.awsPath(x, "AWS_CONFIG_FILE", "config")
}

func (c *checker) awsCredentialsPath(x *Exec) string {
	return c.awsPath(x, "AWS_SHARED_CREDENTIALS_FILE", "credentials")
}

func (c *checker) awsPath(x *Exec, variable, name string) string {
	if p := c.envValue(x, variable); p != "" {
		if rest, ok := strings.CutPrefix(p, "~/"); ok {
			return filepath.Join(c.env.Home, rest)
		}
		return p
	}
	return filepath.Join(c.env.Home, ".aws", name)
}

// awsSetting reads one setting of a profile.
func (c *checker) awsSetting(x *Exec, profile, key string) string {
	if c.env.ReadFile == nil {
		return ""
	}
	data, err := c.env.ReadFile(c.awsConfigPath(x))
	if err != nil {
		return ""
	}
	section := "default"
	if profile != "" && profile != "default" {
		section = "profile " + profile
	}
	settings, _ := iniSection(data, section)
	return settings[key]
}

// iniSection reads one section of an AWS config file. Nested settings (indented
// lines) are left out.
func iniSection(data []byte, section string) (settings map[string]string, found bool) {
	settings = map[string]string{}
	in := false
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		line := lines.Text()
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			continue
		}
		if trimmed[0] == '[' {
			name, _, _ := strings.Cut(trimmed[1:], "]")
			in = strings.Join(strings.Fields(strings.ReplaceAll(name, `"`, "")), " ") == section
			found = found || in
			continue
		}
		if !in || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		if k, v, ok := strings.Cut(line, "="); ok {
			settings[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	return settings, found
}
