package broker

import (
	"bytes"
	"cmp"
	"crypto/sha1" //nolint:gosec // the name of a cache file, given by AWS
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/kubecred/kubecred/internal/awsfiles"
)

// identity are the files in which the clouds' tools keep who somebody is, as the
// environment names them or in their usual place. Their contents go into the
// key, so that an edited profile, a switched configuration or a new login never
// gets the old identity's credential.
//
// Caches that a tool rewrites with every token (gcloud's access_tokens.db, az's
// msal_token_cache.json) are left out: they change without the identity.
type identity struct{ digest }

// file adds a file, where it has a name, and returns what is in it.
func (id *identity) file(name string) []byte {
	if name == "" {
		return nil
	}
	data, info, err := readIdentity(name)
	id.add("file", name, fileState(data, info, err))
	return data
}

// directory notes whether a cloud's directory is there. Most people have one
// cloud, and the files of the others need not be looked for one by one.
func (id *identity) directory(name string) bool {
	if name == "" {
		return false
	}
	f, err := openPlain(name, os.O_RDONLY, 0)
	if err != nil {
		id.add("file", name, fileState(nil, state{}, err))
		return !isAbsent(err)
	}
	f.close()
	return true
}

func (id *identity) all(environ []string) {
	env := func(name string) string { return getenv(environ, name) }
	home := awsfiles.Home(env)
	if home == "" && runtime.GOOS == "linux" && os.Geteuid() == 0 {
		home = "/root" // a kubelet has no HOME, and the clouds' tools look in root's
	}
	id.aws(env, home)
	id.google(env, home)
	id.azure(env, home)
}

// aws: the shared config and credentials files, the token files that the
// environment or a profile names, and the logins of SSO sessions that a profile
// names. (AWS SDKs and Tools Reference Guide, shared config and credentials.)
func (id *identity) aws(env func(string) string, home string) {
	config := id.file(awsfiles.Config(env, home))
	id.file(awsfiles.Credentials(env, home))
	id.file(env("AWS_WEB_IDENTITY_TOKEN_FILE"))
	id.file(env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
	for _, name := range awsNamed(config, home) {
		id.file(name)
	}
}

// awsNamed are the files that a shared config file names, each once.
func awsNamed(config []byte, home string) []string {
	var files []string
	for line := range bytes.Lines(config) {
		key, v, ok := bytes.Cut(line, []byte("="))
		value := string(bytes.TrimSpace(v))
		if !ok || value == "" {
			continue
		}
		switch strings.ToLower(string(bytes.TrimSpace(key))) {
		case "sso_session", "sso_start_url":
			sum := sha1.Sum([]byte(value)) //nolint:gosec // see above
			files = append(files, awsfiles.InHome(home, ".aws", "sso", "cache", hex.EncodeToString(sum[:])+".json"))
		case "login_session":
			sum := sha256.Sum256([]byte(value))
			files = append(files, awsfiles.InHome(home, ".aws", "login", "cache", hex.EncodeToString(sum[:])+".json"))
		case "web_identity_token_file":
			files = append(files, value)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// google: gcloud's configuration that is active, its logins, and the application
// default credentials.
func (id *identity) google(env func(string) string, home string) {
	for _, name := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"} {
		id.file(env(name))
	}
	dir := cmp.Or(env("CLOUDSDK_CONFIG"), awsfiles.InHome(home, ".config", "gcloud"))
	if appData := env("APPDATA"); runtime.GOOS == "windows" && env("CLOUDSDK_CONFIG") == "" && appData != "" {
		dir = filepath.Join(appData, "gcloud")
	}
	if !id.directory(dir) {
		return
	}
	active := id.file(filepath.Join(dir, "active_config"))
	name := env("CLOUDSDK_ACTIVE_CONFIG_NAME")
	if name == "" && len(active) < 256 {
		name = strings.TrimSpace(string(active))
	}
	id.file(filepath.Join(dir, "configurations", "config_"+cmp.Or(name, "default")))
	id.file(filepath.Join(dir, "application_default_credentials.json"))
	id.file(filepath.Join(dir, "credentials.db"))
}

// azure: az's profile and settings, and the files that the environment names for
// service principals and workload identity.
func (id *identity) azure(env func(string) string, home string) {
	for _, name := range []string{"AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH", "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE"} {
		id.file(env(name))
	}
	dir := cmp.Or(env("AZURE_CONFIG_DIR"), awsfiles.InHome(home, ".azure"))
	if !id.directory(dir) {
		return
	}
	for _, name := range []string{"azureProfile.json", "config", "clouds.config"} {
		id.file(filepath.Join(dir, name))
	}
}
