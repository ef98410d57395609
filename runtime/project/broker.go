package project

import (
	"net/url"

	"github.com/openmas/openmas/agent"
)

// broker checks the broker's section, and that of the events which depend on it.
func (v *validator) broker() {
	b := v.c.Broker
	for key, set := range map[string]bool{"urls": len(b.URLs) > 0, "sync_always": b.SyncAlways} {
		if set && b.Type != BrokerNATS {
			v.fail([]string{"broker", key}, "set type: nats", "the %s broker has no %s", b.Type, key)
		}
	}
	if len(b.Options) > 0 && (b.Type == BrokerMemory || b.Type == BrokerNATS) {
		v.fail([]string{"broker", "options"}, "", "options are for a broker that the program brings; those of %s "+
			"have keys of their own", b.Type)
	}
	for key, set := range map[string]bool{"user": b.User != "", "password": b.Password != "", "token": b.Token != "",
		"creds_file": b.CredsFile != "",
		"nkey_file":  b.NkeyFile != "", "ca_file": b.CAFile != "", "cert_file": b.CertFile != "",
		"key_file": b.KeyFile != ""} {
		if set && len(b.URLs) == 0 {
			v.fail([]string{"broker", key}, "name the servers under urls:", "%s is for servers that run elsewhere", key)
		}
	}
	for i, u := range b.URLs {
		v.brokerURL([]string{"broker", "urls", Item(i)}, u)
	}
	if len(b.URLs) > 0 && b.SyncAlways {
		v.fail([]string{"broker", "sync_always"}, "", "sync_always is for the embedded server; those under urls have "+
			"their own setting")
	}
	for _, topic := range sortedKeys(v.c.Events) {
		if err := agent.CheckTopic(topic); err != nil {
			v.fail([]string{"events", topic}, "", "%s is no topic", v.quote([]string{"events", topic}, topic))
		}
		e := v.c.Events[topic]
		if e.Durable && b.Type != BrokerNATS {
			v.fail([]string{"events", topic, "durable"}, "set broker: {type: nats}", "durable events need a broker "+
				"that keeps them, and %s does not", b.Type)
		}
		if e.InOrder && !e.Durable {
			v.fail([]string{"events", topic, "in_order"}, "set durable: true", "in_order is for durable events")
		}
	}
}

func (v *validator) brokerURL(keys []string, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" {
		v.fail(keys, "write nats://host:4222 or tls://host:4222", "%s is no address of a NATS server",
			v.quote(keys, text))
	} else if u.User != nil {
		v.fail(keys, "use user and password, or token, with ${env:NAME}", "credentials do not belong into the address")
	}
}
