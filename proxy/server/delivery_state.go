// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/record/sink"
)

// DefaultAwaitTimeout bounds how long an operation waits for a remote sink.
const DefaultAwaitTimeout = 10 * time.Second

var (
	errSlow    = errors.New("not in time")
	errLeaving = errors.New("its former self is still being closed")
)

// remote says whether a sink of a type is off this machine.
func remote(kind string) bool { return kind != "Stdout" && kind != "File" }

// retention is how long records are kept, and what holds all. The lock is held.
func (d *Delivery) retention() (age time.Duration, hold string) {
	var missing, legal []string
	for _, name := range d.options.Connections {
		w, known := d.wanted[name]
		if !known {
			missing = append(missing, name)
		}
		if w.audit.LegalHold {
			legal = append(legal, name)
		}
		age = max(age, time.Duration(w.audit.LogRetentionSeconds)*time.Second)
	}
	switch {
	case len(legal) > 0:
		hold = fmt.Sprintf("spec.audit.legalHold of connection %q keeps everything: end it, or make the log larger", legal[0])
	case len(missing) > 0:
		hold = fmt.Sprintf("connection %q has no snapshot yet, which says who needs the records: look at its conditions", missing[0])
	case len(d.lost) > 0:
		name := slices.Sorted(maps.Keys(d.lost))[0]
		hold = fmt.Sprintf("LogSink %q has no place in the log yet: %v", name, d.lost[name])
	}
	return age, hold
}

// AwaitRemote returns nil once a LogSink off this machine has acknowledged the
// record of an index; it is what spool.Options.AwaitRemote is for.
func (d *Delivery) AwaitRemote(ctx context.Context, index int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d.options.AwaitTimeout, errSlow)
	defer cancel()
	err := d.shipper.Await(ctx, index)
	if errors.Is(err, sink.ErrNoRemote) {
		return fmt.Errorf("record %d is on this machine only: spec.audit.durability is Remote, but no LogSink is of a type other than Stdout and File: create one, or set Local", index)
	}
	return err
}

// Statuses returns how each LogSink is doing, by name.
func (d *Delivery) Statuses() []sink.Status {
	all := d.shipper.Status()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range all {
		if r := d.routes[all[i].Name]; r != nil {
			if err := r.outlet.Err(); err != nil {
				all[i].LastError, all[i].Reachable = err, false
			}
		}
	}
	for name, err := range d.lost {
		if slices.ContainsFunc(all, func(s sink.Status) bool { return s.Name == name }) {
			continue
		}
		all = append(all, sink.Status{Name: name, LastError: err})
	}
	slices.SortFunc(all, func(a, b sink.Status) int { return strings.Compare(a.Name, b.Name) })
	return all
}
