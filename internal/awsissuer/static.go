package awsissuer

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keys are AWS credentials with what belongs to them.
type keys struct {
	accessKeyID, secret, session string
	expires                      time.Time // zero: unknown or never
	source                       string    // for errors
}

// check fails for keys that are known to have expired.
func (k keys) check(now time.Time) error {
	if k.expires.IsZero() || now.Before(k.expires) {
		return nil
	}
	return &Error{Problem: "the credentials of " + k.source + " expired " + now.Sub(k.expires).Round(time.Second).String() + " ago", Hint: "Log in again"}
}

// settings are what a profile and the environment say beside the keys.
type settings struct {
	region          string
	fips, dualStack bool
}

// staticKeys returns keys that need no call to get: those of the environment, or
// those written in the profile. ok is false where the SDK has to look. The order
// is the SDK's: a profile that was asked for on the command line wins over the
// environment's keys, one that AWS_PROFILE names does not.
func staticKeys(w World, profile string) (keys, settings, bool) {
	k, fromFile, plain := profileKeys(w, profileName(w, profile))
	s := settings{
		region:    first(w.Getenv("AWS_REGION"), w.Getenv("AWS_DEFAULT_REGION"), fromFile.region),
		fips:      setting(w, "AWS_USE_FIPS_ENDPOINT", fromFile.fips),
		dualStack: setting(w, "AWS_USE_DUALSTACK_ENDPOINT", fromFile.dualStack),
	}
	if profile != "" {
		return k, s, plain
	}
	env := keys{
		accessKeyID: first(w.Getenv("AWS_ACCESS_KEY_ID"), w.Getenv("AWS_ACCESS_KEY")),
		secret:      first(w.Getenv("AWS_SECRET_ACCESS_KEY"), w.Getenv("AWS_SECRET_KEY")),
		session:     w.Getenv("AWS_SESSION_TOKEN"), source: "the environment",
	}
	switch {
	case env.accessKeyID != "" && env.secret != "":
		// Not one of AWS's own settings, but what tools that export keys set.
		if t, err := time.Parse(time.RFC3339, w.Getenv("AWS_CREDENTIAL_EXPIRATION")); err == nil {
			env.expires = t
		}
		return env, s, true
	case w.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		return keys{}, s, false
	}
	return k, s, plain
}

// setting is a switch of the environment, or where that is silent the profile's.
func setting(w World, name string, profile bool) bool {
	if v := w.Getenv(name); v != "" {
		return isTrue(v)
	}
	return profile
}

func profileName(w World, profile string) string {
	return first(profile, w.Getenv("AWS_PROFILE"), w.Getenv("AWS_DEFAULT_PROFILE"), "default")
}

// plainKeys are the only settings that a profile may have to be read here; any
// other may change where its credentials come from.
var plainKeys = map[string]bool{
	"aws_access_key_id": true, "aws_secret_access_key": true, "aws_session_token": true,
	"region": true, "output": true, "use_fips_endpoint": true, "use_dualstack_endpoint": true, "cli_pager": true, "cli_auto_prompt": true,
}

// profileKeys reads a profile of the shared files where it holds plain keys.
func profileKeys(w World, profile string) (keys, settings, bool) {
	config, ok1 := readSection(first(w.Getenv("AWS_CONFIG_FILE"), inHome(w.Home, ".aws", "config")), func(name string) bool {
		return name == profile && profile == "default" || name == "profile "+profile
	})
	creds, ok2 := readSection(first(w.Getenv("AWS_SHARED_CREDENTIALS_FILE"), inHome(w.Home, ".aws", "credentials")), func(name string) bool {
		return name == profile
	})
	s := settings{region: first(creds["region"], config["region"]), fips: isTrue(config["use_fips_endpoint"]), dualStack: isTrue(config["use_dualstack_endpoint"])}
	if !ok1 || !ok2 {
		return keys{}, s, false
	}
	for _, section := range []map[string]string{config, creds} {
		for name := range section {
			if !plainKeys[name] {
				return keys{}, s, false
			}
		}
	}
	from := creds // keys in the credentials file win over those in config
	if from["aws_access_key_id"] == "" {
		from = config
	}
	k := keys{accessKeyID: from["aws_access_key_id"], secret: from["aws_secret_access_key"], session: from["aws_session_token"], source: "profile " + profile}
	return k, s, k.accessKeyID != "" && k.secret != ""
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

func inHome(home string, parts ...string) string {
	if home == "" {
		return ""
	}
	return filepath.Join(append([]string{home}, parts...)...)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func isTrue(s string) bool { return strings.EqualFold(s, "true") }
