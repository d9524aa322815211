package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// subcommand refuses what is no command of a group, and names one that was
// probably meant.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q for %q: is it %s?", stray(args[0]), cmd.CommandPath(), strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q for %q (see %s --help)", stray(args[0]), cmd.CommandPath(), cmd.CommandPath())
}

// noArguments refuses arguments of a command that takes flags alone. instead says
// where what was given probably belongs, such as "give files with --kubeconfig".
func noArguments(instead string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if instead == "" {
			return fmt.Errorf("%s takes no arguments, and %q was given", cmd.CommandPath(), stray(args[0]))
		}
		return fmt.Errorf("%s takes no arguments, and %q was given: %s", cmd.CommandPath(), stray(args[0]), instead)
	}
}

// stray is an argument out of place as a message shows it: a long one may be a
// token that was pasted, and how it begins is no secret.
func stray(arg string) string {
	if r := []rune(arg); len(r) > 48 {
		return string(r[:16]) + "..."
	}
	return arg
}

// between takes least to most arguments (most < 0: any number), and says what they are.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if n := len(args); n < least || most >= 0 && n > most {
			return fmt.Errorf("%s (%d given; see %s --help)", what, n, cmd.CommandPath())
		}
		return nil
	}
}
