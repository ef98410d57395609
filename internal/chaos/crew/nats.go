package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// broker is a NATS server, alone or in a cluster. It prints a line once it takes connections, and
// runs until it is killed.
func broker(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("nats", flag.ContinueOnError)
	name := flags.String("name", "n0", "its name")
	port := flags.Int("port", 0, "for clients")
	cluster := flags.Int("cluster", 0, "for the other servers; 0: there are none")
	routes := flags.String("routes", "", "addresses of all servers, with commas")
	store := flags.String("store", "", "folder of what is stored")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o := &server.Options{ServerName: *name, Host: "127.0.0.1", Port: *port, NoSigs: true, JetStream: true,
		StoreDir: *store, MaxPayload: 8 << 20}
	if *cluster != 0 {
		o.Cluster = server.ClusterOpts{Name: "chaos", Host: "127.0.0.1", Port: *cluster}
		o.Routes = server.RoutesFromStr(*routes)
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.SetLoggerV2(quiet{}, false, false, false)
	go s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		return errors.New("the NATS server is not ready")
	}
	fmt.Fprintln(os.Stderr, "NATS_READY")
	<-ctx.Done()
	return ctx.Err()
}

// quiet is a log of a NATS server that has errors only.
type quiet struct{}

func (quiet) Noticef(string, ...any) {}
func (quiet) Warnf(string, ...any)   {}
func (quiet) Debugf(string, ...any)  {}
func (quiet) Tracef(string, ...any)  {}
func (quiet) Fatalf(format string, v ...any) {
	fmt.Fprintf(os.Stderr, "NATS fatal: "+format+"\n", v...)
	os.Exit(1)
}
func (quiet) Errorf(format string, v ...any) { fmt.Fprintf(os.Stderr, "NATS: "+format+"\n", v...) }
