package cli

import "github.com/spf13/cobra"

// Root returns the command tree, for the program that writes the reference.
func Root() *cobra.Command { return newRoot(System(), "kubecred") }
