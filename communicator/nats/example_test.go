package nats_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/nats"
	"github.com/openmas/openmas/communicator/pubsub"
)

// embedded joins the broker that the processes of a project share, here in a folder of its own.
func embedded() (driver *nats.Driver, end func()) {
	dir, err := os.MkdirTemp("", "openmas")
	if err != nil {
		log.Fatal(err)
	}
	driver, err = nats.Open(context.Background(), nats.Options{Project: "crew", StateDir: dir})
	if err != nil {
		log.Fatal(err)
	}
	return driver, func() {
		if err := driver.Close(); err != nil {
			log.Fatal(err)
		}
		_ = os.RemoveAll(dir)
	}
}

// Calls over the embedded broker. With servers that run elsewhere, Options has their URLs in place
// of a StateDir.
func ExampleOpen() {
	ctx := context.Background()
	driver, end := embedded()
	defer end()
	calls, err := pubsub.New(driver, pubsub.Options{Project: "crew"})
	if err != nil {
		log.Fatal(err)
	}
	defer calls.Close(ctx)
	_, err = calls.Dial(ctx, "greeter") // which no process serves: the broker reports it at once
	fmt.Println(agent.CodeOf(err))
	// Output: unavailable
}

// A durable event is stored when Publish has returned: an agent that subscribes later gets it.
func ExampleDurable() {
	ctx := context.Background()
	driver, end := embedded()
	defer end()
	events, err := driver.Durable(ctx, nats.DurableOptions{Attempts: 3})
	if err != nil {
		log.Fatal(err)
	}
	defer events.Close(ctx)
	if err := events.Publish(ctx, agent.Event{
		Topic: "file.found", Source: "collector", Payload: json.RawMessage(`"main.go"`),
	}); err != nil {
		log.Fatal(err)
	}
	handled := make(chan struct{})
	if _, err := events.Subscribe("editor", "file.found", func(_ context.Context, e agent.Event, attempt int) error {
		fmt.Printf("attempt %d: %s found %s\n", attempt, e.Source, e.Payload)
		close(handled)
		return nil
	}); err != nil {
		log.Fatal(err)
	}
	<-handled
	// Output: attempt 1: collector found "main.go"
}
