// Package awsfiles says where AWS's tools keep who somebody is. (AWS SDKs and
// Tools Reference Guide, location of the shared config and credentials files.)
package awsfiles

import (
	"os"
	"runtime"
	"strings"
)

// Home is the person's home directory, "" where the environment names none.
func Home(getenv func(string) string) string {
	if runtime.GOOS == "windows" {
		return getenv("USERPROFILE")
	}
	return getenv("HOME")
}

// InHome is a path below a home directory, "" without one.
func InHome(home string, parts ...string) string {
	if home == "" {
		return ""
	}
	const separator = string(os.PathSeparator)
	return strings.TrimRight(home, separator) + separator + strings.Join(parts, separator)
}

// Config is the shared config file, "" where there can be none.
func Config(getenv func(string) string, home string) string {
	if name := getenv("AWS_CONFIG_FILE"); name != "" {
		return name
	}
	return InHome(home, ".aws", "config")
}

// Credentials is the shared credentials file, "" where there can be none.
func Credentials(getenv func(string) string, home string) string {
	if name := getenv("AWS_SHARED_CREDENTIALS_FILE"); name != "" {
		return name
	}
	return InHome(home, ".aws", "credentials")
}
