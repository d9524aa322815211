package cli

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/kubecred/kubecred/internal/release"
)

func (a *app) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of kubecred",
		Args:  noArguments(""),
		RunE: func(*cobra.Command, []string) error {
			switch format {
			case "text":
				fmt.Fprint(a.Stdout, versionLine())
				return nil
			case "json":
				return json.NewEncoder(a.Stdout).Encode(map[string]string{
					"version": release.Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				})
			}
			return fmt.Errorf("-o %q: use one of text, json", format)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "text", "format: text, json")
	return cmd
}

func versionLine() string {
	return fmt.Sprintf("kubecred %s (%s, %s/%s)\n", release.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
