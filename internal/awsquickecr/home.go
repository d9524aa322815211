package awsquickecr

import (
	"os"
	"os/user"
)

// Home is the home directory as the SDK has it: HOME, or where a service such as a
// kubelet has none, the user's own. "" for none.
func Home() string {
	if home, err := os.UserHomeDir(); err == nil && home != "" {
		return home
	}
	if u, err := user.Current(); err == nil {
		return u.HomeDir
	}
	return ""
}
