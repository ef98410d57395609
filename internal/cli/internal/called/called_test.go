package called

import (
	"testing"

	"github.com/spf13/cobra"
)

// A program has its own name before the commands that it has, and nowhere else.
func TestName(t *testing.T) {
	root := &cobra.Command{Use: "crew", Long: "openmas runs agents.\n\n  openmas run"}
	status := &cobra.Command{Use: "status [AGENT]", Short: "as openmas run does", Example: "openmas status"}
	status.Flags().Bool("all", false, "see openmas run")
	root.AddCommand(&cobra.Command{Use: "run"}, status)
	crew := As("crew$1", root)
	for text, want := range map[string]string{
		"openmas run starts one":                 "crew$1 run starts one",
		"(openmas status, openmas run)":          "(crew$1 status, crew$1 run)",
		"a\nopenmas status -p x shows it":        "a\ncrew$1 status -p x shows it",
		"openmas build and openmas validate":     "openmas build and openmas validate",
		"openmas runs":                           "openmas runs",
		"github.com/openmas/openmas run":         "github.com/openmas/openmas run",
		"perhaps by another openmas: use status": "perhaps by another openmas: use status",
	} {
		if got := crew.In(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		if got := As(Openmas, root).In(text); got != text {
			t.Errorf("openmas: %q became %q", text, got)
		}
	}
	if crew.String() != "crew$1" || (Name{}).String() != Openmas {
		t.Errorf("%v, %v", crew, Name{})
	}
	crew.Help(root)
	if root.Long != "openmas runs agents.\n\n  crew$1 run" || status.Short != "as crew$1 run does" ||
		status.Example != "crew$1 status" || status.Flag("all").Usage != "see crew$1 run" {
		t.Errorf("%q, %q, %q, %q", root.Long, status.Short, status.Example, status.Flag("all").Usage)
	}
}
