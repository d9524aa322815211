// Package awskeys finds the AWS credentials that need no call to get, those of the
// environment and those written in a profile, and signs EKS tokens with
// credentials from wherever. It needs the standard library alone, so that a token
// costs little more than starting a program.
package awskeys

import (
	"bufio"
	"cmp"
	"os"
	"strings"
	"time"

	"github.com/kubecred/kubecred/internal/awsfiles"
)

// World is what the package needs of its surroundings.
type World struct {
	Getenv func(string) string
	Home   string
}

// Keys are AWS credentials with what belongs to them.
type Keys struct {
	AccessKeyID, Secret, Session string
	Expires                      time.Time // zero: unknown or never
	Source                       string    // for errors
}

// Check fails with an [*Error] for keys that are known to have expired.
func (k Keys) Check(now time.Time) error {
	if k.Expires.IsZero() || now.Before(k.Expires) {
		return nil
	}
	return &Error{Problem: "the credentials of " + k.Source + " expired " + now.Sub(k.Expires).Round(time.Second).String() + " ago", Hint: "Log in again"}
}

// Settings are what a profile and the environment say beside the keys.
type Settings struct {
	Region          string
	FIPS, DualStack bool
}

// Static returns keys that need no call to get: those of the environment, or
// those written in the profile. ok is false where the SDK has to look. The order
// is the SDK's: a profile that was asked for on the command line wins over the
// environment's keys, one that AWS_PROFILE names does not.
func Static(w World, profile string) (Keys, Settings, bool) {
	k, fromFile, plain := profileKeys(w, ProfileName(w.Getenv, profile))
	s := w.settings(fromFile)
	plain = plain && k.given()
	if profile != "" {
		return k, s, plain
	}
	env := Keys{
		AccessKeyID: cmp.Or(w.Getenv("AWS_ACCESS_KEY_ID"), w.Getenv("AWS_ACCESS_KEY")),
		Secret:      cmp.Or(w.Getenv("AWS_SECRET_ACCESS_KEY"), w.Getenv("AWS_SECRET_KEY")),
		Session:     w.Getenv("AWS_SESSION_TOKEN"), Source: "the environment",
	}
	switch {
	case env.given():
		// Not one of AWS's own settings, but what tools that export keys set.
		if t, err := time.Parse(time.RFC3339, w.Getenv("AWS_CREDENTIAL_EXPIRATION")); err == nil {
			env.Expires = t
		}
		return env, s, true
	case w.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		return Keys{}, s, false
	}
	return k, s, plain
}

// Nothing tells that neither the environment nor a profile says anything of where
// credentials come from, in any of the ways that the SDK knows, so that only what
// the machine gives is left. Where it is not sure it is false. environ lists the
// variables as NAME=VALUE.
func Nothing(w World, environ []string) (Settings, bool) {
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		name = strings.ToUpper(name) // Windows has them in any case
		if strings.HasPrefix(name, "AWS_") && value != "" && !harmlessEnv[name] {
			return Settings{}, false
		}
	}
	for _, name := range []string{"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"} {
		if v := w.Getenv(name); v != "" && !IsTrue(v) && !strings.EqualFold(v, "false") {
			return Settings{}, false // the SDK refuses it
		}
	}
	k, fromFile, plain := profileKeys(w, "default")
	return w.settings(fromFile), plain && k == Keys{Source: k.Source}
}

// harmlessEnv are the variables of AWS's tools that do not change where
// credentials come from, or that whoever asks for [Nothing] reads.
var harmlessEnv = map[string]bool{
	"AWS_REGION": true, "AWS_DEFAULT_REGION": true, "AWS_DEFAULT_OUTPUT": true, "AWS_PAGER": true, "AWS_EXECUTION_ENV": true,
	"AWS_CONFIG_FILE": true, "AWS_SHARED_CREDENTIALS_FILE": true, "AWS_SDK_LOAD_CONFIG": true, "AWS_STS_REGIONAL_ENDPOINTS": true,
	"AWS_USE_FIPS_ENDPOINT": true, "AWS_USE_DUALSTACK_ENDPOINT": true,
	"AWS_ENDPOINT_URL": true, "AWS_ENDPOINT_URL_ECR": true, "AWS_ENDPOINT_URL_ECR_PUBLIC": true, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": true,
	"AWS_EC2_METADATA_DISABLED": true, "AWS_EC2_METADATA_SERVICE_ENDPOINT": true,
}

func (k Keys) given() bool { return k.AccessKeyID != "" && k.Secret != "" }

// settings are the environment's, and where that is silent the profile's.
func (w World) settings(fromFile Settings) Settings {
	return Settings{
		Region:    cmp.Or(w.Getenv("AWS_REGION"), w.Getenv("AWS_DEFAULT_REGION"), fromFile.Region),
		FIPS:      setting(w, "AWS_USE_FIPS_ENDPOINT", fromFile.FIPS),
		DualStack: setting(w, "AWS_USE_DUALSTACK_ENDPOINT", fromFile.DualStack),
	}
}

// setting is a switch of the environment, or where that is silent the profile's.
func setting(w World, name string, profile bool) bool {
	if v := w.Getenv(name); v != "" {
		return IsTrue(v)
	}
	return profile
}

// ProfileName is the profile that counts, given the one that was asked for.
func ProfileName(getenv func(string) string, profile string) string {
	return cmp.Or(profile, getenv("AWS_PROFILE"), getenv("AWS_DEFAULT_PROFILE"), "default")
}

// plainSettings are the only settings that a profile may have to be read here; any
// other may change where its credentials come from.
var plainSettings = map[string]bool{
	"aws_access_key_id": true, "aws_secret_access_key": true, "aws_session_token": true,
	"region": true, "output": true, "use_fips_endpoint": true, "use_dualstack_endpoint": true, "cli_pager": true, "cli_auto_prompt": true,
}

// profileKeys reads a profile of the shared files. plain tells that it holds
// nothing but what is read here, be there keys or none.
func profileKeys(w World, profile string) (k Keys, s Settings, plain bool) {
	config, ok1 := readSection(awsfiles.Config(w.Getenv, w.Home), func(name string) bool {
		return name == profile && profile == "default" || name == "profile "+profile
	})
	creds, ok2 := readSection(awsfiles.Credentials(w.Getenv, w.Home), func(name string) bool {
		return name == profile
	})
	s = Settings{Region: cmp.Or(creds["region"], config["region"]), FIPS: IsTrue(config["use_fips_endpoint"]), DualStack: IsTrue(config["use_dualstack_endpoint"])}
	if !ok1 || !ok2 {
		return Keys{}, s, false
	}
	for _, section := range []map[string]string{config, creds} {
		for name := range section {
			if !plainSettings[name] {
				return Keys{}, s, false
			}
		}
	}
	from := creds // keys in the credentials file win over those in config
	if from["aws_access_key_id"] == "" {
		from = config
	}
	k = Keys{AccessKeyID: from["aws_access_key_id"], Secret: from["aws_secret_access_key"], Session: from["aws_session_token"], Source: "profile " + profile}
	return k, s, true
}

// readSection reads a section of a shared file. It gives up, with ok false, at
// whatever is not plain name = value, and leaves that to the SDK; a missing file
// is an empty one.
func readSection(name string, is func(string) bool) (section map[string]string, ok bool) {
	section = map[string]string{}
	if name == "" {
		return section, true
	}
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return section, true
	}
	if err != nil {
		return section, false
	}
	defer f.Close()
	inside, found := false, false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
		case trimmed[0] == '[':
			title, _, closed := strings.Cut(trimmed[1:], "]")
			if !closed {
				return section, false
			}
			inside = is(strings.Join(strings.Fields(title), " "))
			if inside && found {
				return section, false // twice
			}
			found = found || inside
		case !inside:
		case line[0] == ' ' || line[0] == '\t':
			return section, false // nested, or continued
		default:
			key, value, isPair := strings.Cut(trimmed, "=")
			value = strings.TrimSpace(value)
			if !isPair || strings.Contains(value, " #") || strings.Contains(value, " ;") {
				return section, false
			}
			section[strings.ToLower(strings.TrimSpace(key))] = value
		}
	}
	return section, lines.Err() == nil
}

// IsTrue reads a switch as the SDKs do.
func IsTrue(s string) bool { return strings.EqualFold(s, "true") }
