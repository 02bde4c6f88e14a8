// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/doorward/doorward/test/proc"
)

// Memory is what a process holds after a garbage collection, in bytes.
type Memory struct{ Heap, Stacks, Resident int64 }

// Tell serves what a process of a benchmark tells of itself, on loopback, until
// ctx ends: CPU and heap profiles, and its memory.
func Tell(ctx context.Context) (net.Addr, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/memory", func(w http.ResponseWriter, _ *http.Request) {
		runtime.GC()
		debug.FreeOSMemory()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		_ = json.NewEncoder(w).Encode(Memory{Heap: int64(stats.HeapAlloc), Stacks: int64(stats.StackInuse)})
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = s.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return listener.Addr(), nil
}

// ReadMemory asks a process what it holds. Of one that tells nothing, whose
// address is empty, it is the resident memory alone.
func ReadMemory(ctx context.Context, address string, pid int) (m Memory, err error) {
	if address != "" {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/memory", http.NoBody)
		if err != nil {
			return m, fmt.Errorf("cannot ask for the memory: %w", err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return m, fmt.Errorf("cannot ask for the memory: %w", err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(&m); err != nil {
			return m, fmt.Errorf("cannot read the memory: %w", err)
		}
	}
	m.Resident, _, err = proc.Memory(pid)
	return m, err
}
