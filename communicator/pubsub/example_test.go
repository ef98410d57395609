package pubsub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
)

func Example() {
	ctx := context.Background()
	broker := pubsub.NewMemory(pubsub.MemoryOptions{})
	defer broker.Close()
	bus, err := pubsub.New(broker, pubsub.Options{Project: "demo"})
	if err != nil {
		log.Fatal(err)
	}
	defer bus.Close(ctx)

	greeter, err := agent.NewHost(agent.Env{Name: "greeter"}, agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("greet", "Greet somebody.", func(_ context.Context, in struct{ Name string }) (string, error) {
			return "hello " + in.Name, nil
		}),
	}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := bus.Serve(ctx, greeter); err != nil {
		log.Fatal(err)
	}
	peer, err := bus.Dial(ctx, "greeter")
	if err != nil {
		log.Fatal(err)
	}
	res, err := peer.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "greeter", Name: "greet",
		Input: json.RawMessage(`{"Name":"Ada"}`)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(peer.Info().Tools[0].Name, "says", res.Text())
	// Output: greet says hello Ada
}

func ExampleEvents() {
	ctx := context.Background()
	broker := pubsub.NewMemory(pubsub.MemoryOptions{})
	defer broker.Close()
	hub, err := pubsub.NewEvents(broker, pubsub.EventsOptions{Project: "demo"})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	if _, err := hub.Subscribe("complexity", "file.found", func(_ context.Context, p agent.Event, _ int) error {
		fmt.Printf("%s found %s\n", p.Source, p.Payload)
		close(done)
		return nil
	}); err != nil {
		log.Fatal(err)
	}
	ran := make(chan error)
	go func() { ran <- hub.Run(ctx) }()
	if err := hub.Publish(ctx, agent.Event{Topic: "file.found", Source: "collector",
		Payload: json.RawMessage(`"main.go"`)}); err != nil {
		log.Fatal(err)
	}
	<-done
	if err := hub.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ended:", <-ran)
	// Output:
	// collector found "main.go"
	// ended: <nil>
}

// Of the subscribers of one group one gets each message; with the empty group every one does.
func ExampleMemory() {
	broker := pubsub.NewMemory(pubsub.MemoryOptions{})
	defer broker.Close()

	err := broker.Publish("om.1.demo.event.news", message.NewMessage("1", nil))
	fmt.Println(err, errors.Is(err, pubsub.ErrNoSubscribers))

	subscriber, err := broker.Subscriber("editor")
	if err != nil {
		log.Fatal(err)
	}
	defer subscriber.Close()
	messages, err := subscriber.Subscribe(context.Background(), "om.1.demo.event.news")
	if err != nil {
		log.Fatal(err)
	}
	if err := broker.Publish("om.1.demo.event.news", message.NewMessage("2", []byte("hello"))); err != nil {
		log.Fatal(err)
	}
	m := <-messages
	m.Ack()
	fmt.Printf("%s: %s\n", m.UUID, m.Payload)
	// Output:
	// publish to om.1.demo.event.news: no subscribers: not sent true
	// 2: hello
}
