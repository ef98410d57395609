package project

import (
	"net/url"
	"time"

	"github.com/openmas/openmas/agent"
)

// The types of broker that are built in.
const (
	BrokerMemory = "memory"
	BrokerNATS   = "nats"
)

// Broker is what stands between agents, and the bounds on what waits in it.
type Broker struct {
	// "memory" is a broker in this process. "nats" is one that all processes of the project share,
	// on one machine or many. Any other name is a broker that the program brings with
	// openmas.WithDriver.
	Type string `yaml:"type" default:"memory"`
	// NATS servers: "nats://host:4222" or "tls://host:4222". Left out: the first process of the
	// project on this machine runs an embedded server, which the others join.
	URLs []string `yaml:"urls"`
	// User name for the servers under urls.
	User string `yaml:"user"`
	// Password of that user.
	Password string `yaml:"password" secret:"yes"`
	// Token for the servers under urls.
	Token string `yaml:"token" secret:"yes"`
	// File with a JWT and its key, for the servers under urls.
	CredsFile string `yaml:"creds_file"`
	// File with a seed, for the servers under urls.
	NkeyFile string `yaml:"nkey_file"`
	// Certificates for the servers under urls.
	TLS TLS `yaml:"tls"`
	// The embedded server writes each durable event to the disk at once, so that events survive a
	// power cut too.
	SyncAlways bool `yaml:"sync_always"`
	// Options for a broker that the program brings. It says what they mean.
	Options map[string]any `yaml:"options"`

	// Size of the largest message. A larger one is refused before it is sent.
	MaxPayload Size `yaml:"max_payload" default:"1MiB"`
}

// Event is what is particular to the events of one topic.
type Event struct {
	// Events are kept until each agent that subscribes has handled them, at least once. Else they
	// are delivered if possible. Needs broker.type "nats".
	Durable bool `yaml:"durable"`
	// How often an agent tries to handle a durable event before it is dead-lettered.
	Attempts int `yaml:"attempts" default:"5"`
	// Wait before the second attempt. It doubles with each further attempt, up to a minute.
	Backoff time.Duration `yaml:"backoff" default:"1s"`
	// An agent gets durable events one after the other, whichever process handles them. Else only
	// those with the same key are in order, within one process.
	InOrder bool `yaml:"in_order"`
}

func (v *validator) broker(b *Broker) {
	at := func(key ...string) []string { return append([]string{"broker"}, key...) }
	if len(b.URLs) > 0 && b.Type != BrokerNATS {
		v.fail(at("urls"), "set type: nats", "the %s broker has no urls", b.Type)
	}
	switch {
	case b.SyncAlways && b.Type != BrokerNATS:
		v.fail(at("sync_always"), "set type: nats", "the %s broker has no sync_always", b.Type)
	case b.SyncAlways && len(b.URLs) > 0:
		v.fail(at("sync_always"), "", "it is for the embedded server; those under urls have their own setting")
	}
	if len(b.Options) > 0 && (b.Type == BrokerMemory || b.Type == BrokerNATS) {
		v.fail(at("options"), "", "options are for a broker that the program brings; those of %s have keys of "+
			"their own", b.Type)
	}
	for key, set := range map[string]bool{"user": b.User != "", "password": b.Password != "", "token": b.Token != "",
		"creds_file": b.CredsFile != "", "nkey_file": b.NkeyFile != "", "tls": b.TLS != TLS{}} {
		if set && len(b.URLs) == 0 {
			v.fail(at(key), "name the servers under urls:", "it is for servers that run elsewhere")
		}
	}
	v.certificate(at("tls"), b.TLS)
	for i, text := range b.URLs {
		keys := at("urls", item(i))
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" {
			v.fail(keys, "write nats://host:4222 or tls://host:4222", "%s is no address of a NATS server",
				v.quote(keys, text))
		} else if u.User != nil {
			v.fail(keys, "use user and password, or token, with ${env:NAME}",
				"credentials do not belong into the address")
		}
	}
}

func (v *validator) events(events map[string]Event, broker string) {
	for _, topic := range sortedKeys(events) {
		keys, e := []string{"events", topic}, events[topic]
		if err := agent.CheckTopic(topic); err != nil {
			v.fail(keys, "", "%s is no topic", v.quote(keys, topic))
		}
		if e.Durable && broker != BrokerNATS {
			v.fail(below(keys, "durable"), "set broker: {type: nats}", "durable events need a broker that keeps them, "+
				"and %s does not", broker)
		}
		if e.InOrder && !e.Durable {
			v.fail(below(keys, "in_order"), "set durable: true", "in_order is for durable events")
		}
	}
}
