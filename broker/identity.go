package broker

import (
	"crypto/sha1" //nolint:gosec // the name of a cache file, given by AWS
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// identityFiles are the files in which the clouds' tools keep who somebody is,
// as the environment names them or in their usual place. Their contents go into
// the key, so that an edited profile, a switched configuration or a new login
// never gets the old identity's credential.
//
// Caches that a tool rewrites with every token (gcloud's access_tokens.db, az's
// msal_token_cache.json) are left out: they change without the identity.
func identityFiles(environ []string) []string {
	env := func(name string) string { return getenv(environ, name) }
	home := env("HOME")
	if runtime.GOOS == "windows" {
		home = env("USERPROFILE")
	}
	files := awsFiles(env, home)
	files = append(files, googleFiles(env, home)...)
	return append(files, azureFiles(env, home)...)
}

// inHome is a path below the home directory, "" without one.
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

func present(values ...string) []string {
	return slices.DeleteFunc(values, func(s string) bool { return s == "" })
}

// awsFiles: the shared config and credentials files, the token files that the
// environment or a profile names, and the logins of SSO sessions that a profile
// names. (AWS SDKs and Tools Reference Guide, shared config and credentials.)
func awsFiles(env func(string) string, home string) []string {
	config := first(env("AWS_CONFIG_FILE"), inHome(home, ".aws", "config"))
	files := present(
		config,
		first(env("AWS_SHARED_CREDENTIALS_FILE"), inHome(home, ".aws", "credentials")),
		env("AWS_WEB_IDENTITY_TOKEN_FILE"),
		env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
	)
	return append(files, awsNamed(config, home)...)
}

// awsNamed are the files that the shared config file names.
func awsNamed(config, home string) []string {
	if config == "" {
		return nil
	}
	data, _, err := readIdentity(config)
	if err != nil {
		return nil
	}
	var files []string
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		if !ok || value == "" {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "sso_session", "sso_start_url":
			sum := sha1.Sum([]byte(value)) //nolint:gosec // see above
			files = append(files, inHome(home, ".aws", "sso", "cache", hex.EncodeToString(sum[:])+".json"))
		case "login_session":
			sum := sha256.Sum256([]byte(value))
			files = append(files, inHome(home, ".aws", "login", "cache", hex.EncodeToString(sum[:])+".json"))
		case "web_identity_token_file":
			files = append(files, value)
		}
	}
	files = present(files...)
	slices.Sort(files)
	return slices.Compact(files)
}

// googleFiles: gcloud's configuration that is active, its logins, and the
// application default credentials.
func googleFiles(env func(string) string, home string) []string {
	dir := first(env("CLOUDSDK_CONFIG"), inHome(home, ".config", "gcloud"))
	if appData := env("APPDATA"); runtime.GOOS == "windows" && env("CLOUDSDK_CONFIG") == "" && appData != "" {
		dir = filepath.Join(appData, "gcloud")
	}
	files := present(env("GOOGLE_APPLICATION_CREDENTIALS"), env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"), env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"))
	if dir == "" {
		return files
	}
	active := filepath.Join(dir, "active_config")
	name := env("CLOUDSDK_ACTIVE_CONFIG_NAME")
	if name == "" {
		if data, _, err := readIdentity(active); err == nil && len(data) < 256 {
			name = strings.TrimSpace(string(data))
		}
	}
	return append(files, active,
		filepath.Join(dir, "configurations", "config_"+first(name, "default")),
		filepath.Join(dir, "application_default_credentials.json"),
		filepath.Join(dir, "credentials.db"),
	)
}

// azureFiles: az's profile and settings, and the files that the environment
// names for service principals and workload identity.
func azureFiles(env func(string) string, home string) []string {
	files := present(env("AZURE_FEDERATED_TOKEN_FILE"), env("AZURE_CLIENT_CERTIFICATE_PATH"), env("AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE"))
	dir := first(env("AZURE_CONFIG_DIR"), inHome(home, ".azure"))
	if dir == "" {
		return files
	}
	return append(files, filepath.Join(dir, "azureProfile.json"), filepath.Join(dir, "config"), filepath.Join(dir, "clouds.config"))
}
