package cli

import (
	"github.com/spf13/cobra"
)

// maxDead bounds what one command lists or replays.
const maxDead = 10_000

func (a *App) eventsCommand() *cobra.Command {
	return Group("events", "Publish events, and look after those that could not be handled",
		`Publish events, and look after those that could not be handled. A durable event that an agent fails to handle
again and again becomes a dead-letter event: it can be listed, and delivered again once the reason is mended.`,
		a.deadCommand(), a.replayCommand(), a.publishCommand())
}
