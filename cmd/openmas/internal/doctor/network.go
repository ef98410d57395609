package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime/project"
)

// dialTime is how long an address may take to answer.
const dialTime = 3 * time.Second

// port looks whether the project can listen on its address.
func port(cfg *project.Config, key, addr string) func(context.Context) finding {
	return func(ctx context.Context) finding {
		var lc net.ListenConfig
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err == nil {
			if err := ln.Close(); err != nil {
				return lacks("try again", "%v", err)
			}
			return found("%s is free", addr)
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !strings.Contains(err.Error(), "Only one usage of each socket") {
			return lacks("write an address of this machine under "+key, "%v", err)
		}
		if running := cli.Running(ctx, cfg.File); len(running) > 0 {
			return found("%s is in use: the project runs already, process %d", addr, running[0].PID)
		}
		return lacks(fmt.Sprintf("end the program that has it, or: openmas run --set %s=127.0.0.1:0", key),
			"%s is in use by another program", addr)
	}
}

// broker looks whether the broker can be reached.
func broker(cfg *project.Config) func(context.Context) finding {
	return func(ctx context.Context) finding {
		b := cfg.Broker
		switch {
		case b.Type == project.BrokerMemory:
			return found("in memory: nothing is needed")
		case b.Type != project.BrokerNATS:
			return found("%s: the program brings it, and only that can reach it", b.Type)
		case len(b.URLs) == 0:
			return found("NATS, embedded in the first process of the project")
		}
		var all []error
		for _, raw := range b.URLs {
			addr, err := address(raw, "4222")
			if err == nil {
				err = dial(ctx, addr)
			}
			if err == nil {
				return found("a server answers at %s", addr)
			}
			all = append(all, err)
		}
		return lacks("start the server, or leave broker.urls out for an embedded one",
			"no server of broker.urls answers: %s", strings.ReplaceAll(errors.Join(all...).Error(), "\n", "; "))
	}
}

// receiver is where traces go, and what says so.
func receiver(cfg *project.Config, environ []string) (endpoint, key string) {
	if e := cfg.Telemetry.Endpoint; e != "" {
		if e == "off" {
			return "", ""
		}
		return e, "telemetry.endpoint"
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		for _, kv := range environ {
			if value, ok := strings.CutPrefix(kv, name+"="); ok && value != "" {
				return value, name
			}
		}
	}
	return "", ""
}

func traces(endpoint, key string) func(context.Context) finding {
	return func(ctx context.Context) finding {
		addr, err := address(endpoint, "4318")
		if err == nil {
			err = dial(ctx, addr)
		}
		if err != nil {
			return without("start a receiver of OTLP there (docs/howto/tracing.md), or take "+key+" away",
				"no receiver answers: %v; spans are lost", err)
		}
		return found("a receiver answers at %s", addr)
	}
}

// server looks at the address of an agent that runs elsewhere.
func server(ac project.Agent) func(context.Context) finding {
	absent, do := without, "start the server, or correct url:; openmas run goes on trying"
	if ac.Critical {
		absent, do = lacks, "start the server, or correct url:"
	}
	return func(ctx context.Context) finding {
		addr, err := address(ac.URL, "")
		if err == nil {
			err = dial(ctx, addr)
		}
		if err != nil {
			return absent(do, "no server answers: %v", err)
		}
		return found("a server answers at %s", addr)
	}
}

// address is host:port of a URL, or of what is that already.
func address(raw, port string) (string, error) {
	if !strings.Contains(raw, "://") {
		raw = "tcp://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("there is no host in the address")
	}
	switch u.Scheme {
	case "https":
		port = cmp.Or(port, "443")
	case "http":
		port = cmp.Or(port, "80")
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)), nil
}

func dial(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}
