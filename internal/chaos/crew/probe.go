package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"
)

// Numbers are what a process knows of itself better than the system does.
type Numbers struct {
	Goroutines int    `json:"goroutines"`
	Heap       uint64 `json:"heap"` // bytes that live after a collection
}

// probe answers with the process's Numbers on a Unix socket, for as long as the process lives. No
// path, no socket: children of a system do not inherit its variables.
func probe(path string) error {
	if path == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/numbers", func(w http.ResponseWriter, _ *http.Request) {
		runtime.GC()
		runtime.GC() // what finalizers and pools have let go
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		_ = json.NewEncoder(w).Encode(Numbers{runtime.NumGoroutine(), m.HeapAlloc}) // the judge sees what is missing
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	s.SetKeepAlivesEnabled(false)  // its own connections are not to be counted
	go func() { _ = s.Serve(l) }() // until the process ends
	return nil
}
