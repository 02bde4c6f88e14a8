// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sinktest is the conformance kit that every sink passes.
package sinktest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// LogID is the id of the log that Records makes records of.
const LogID = "00112233445566778899aabbccddeeff"

// Destination is one place that sinks write to.
type Destination struct {
	// New makes a sink for the destination, as a proxy that starts does. The
	// kit may make a second one after it has done with the first.
	New func(t *testing.T) sink.Sink
	// Received returns the JSON of each record that the destination has, in
	// order of arrival, as its readers see it.
	Received func(t *testing.T) [][]byte
	// Break makes the destination fail until the returned function is called.
	// Nil where it cannot be made to.
	Break func(t *testing.T) (mend func())
}

// Run tests sinks; setUp makes a fresh destination.
func Run(t *testing.T, setUp func(t *testing.T) Destination) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Destination){
		"AcceptedIsThere":   acceptedIsThere,
		"InOrder":           inOrder,
		"LargeBatch":        largeBatch,
		"EmptyBatch":        emptyBatch,
		"EndedContext":      endedContext,
		"AgainAfterRestart": againAfterRestart,
		"DoesNotKeep":       doesNotKeep,
	} {
		t.Run(name, func(t *testing.T) { test(t, setUp(t)) })
	}
	if d := setUp(t); d.Break != nil {
		t.Run("FailsWhileBroken", func(t *testing.T) { failsWhileBroken(t, d) })
	}
}

// Records makes records from first up to, not including, end.
func Records(first, end int64) []record.Record {
	var records []record.Record
	for i := first; i < end; i++ {
		records = append(records, one(i, fmt.Sprintf("record %d: \"quotes\", \u00fcml\u00e4ut, \x1b[2K\n", i)))
	}
	return records
}

func one(index int64, reason string) record.Record {
	p := record.Position{LogID: LogID, Index: index}
	e := record.Event{Type: record.SessionEnd, Time: time.Unix(1700000000, index), Session: fmt.Sprint(index % 3), Reason: reason}
	return record.Record{Position: p, JSON: record.AppendJSON(nil, p, record.Hash{}, &e)}
}

func write(t *testing.T, s sink.Sink, batch []record.Record) {
	t.Helper()
	if err := s.Write(t.Context(), batch); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

func compare(t *testing.T, want []record.Record, got [][]byte) {
	t.Helper()
	if diff := cmp.Diff(lines(want), texts(got)); diff != "" {
		t.Errorf("received: -want, +got:\n%s", diff)
	}
}

func lines(records []record.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, string(r.JSON))
	}
	return all
}

func texts(received [][]byte) []string {
	var all []string
	for _, r := range received {
		all = append(all, string(r))
	}
	return all
}

// once drops what cannot be decoded, a line broken off, and what came before.
func once(received [][]byte) []string {
	seen := map[record.Position]bool{}
	var all []string
	for _, r := range received {
		d, err := record.Decode(r)
		p := record.Position{LogID: d.Log, Index: d.Index}
		if err != nil || seen[p] {
			continue
		}
		seen[p] = true
		all = append(all, string(r))
	}
	return all
}

func acceptedIsThere(t *testing.T, d Destination) {
	t.Helper()
	s := d.New(t)
	for i := range int64(5) {
		write(t, s, Records(i, i+1))
		compare(t, Records(0, i+1), d.Received(t))
	}
}

func inOrder(t *testing.T, d Destination) {
	t.Helper()
	s := d.New(t)
	for at, size := int64(0), int64(1); at < 100; at, size = at+size, size%7+1 {
		write(t, s, Records(at, min(at+size, 100)))
	}
	compare(t, Records(0, 100), d.Received(t))
}

func largeBatch(t *testing.T, d Destination) {
	t.Helper()
	batch := Records(0, 2000)
	big := strings.Repeat("a long reason ", 290)
	for i := int64(2000); i < 2200; i++ {
		batch = append(batch, one(i, big))
	}
	write(t, d.New(t), batch)
	compare(t, batch, d.Received(t))
}

func emptyBatch(t *testing.T, d Destination) {
	t.Helper()
	s := d.New(t)
	write(t, s, nil)
	write(t, s, Records(0, 1))
	compare(t, Records(0, 1), d.Received(t))
}

func endedContext(t *testing.T, d Destination) {
	t.Helper()
	s := d.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Write(ctx, Records(0, 3)); err == nil {
		t.Error("Write accepted records although its context had ended")
	}
	write(t, s, Records(0, 3))
	if diff := cmp.Diff(lines(Records(0, 3)), once(d.Received(t))); diff != "" {
		t.Errorf("received once each: -want, +got:\n%s", diff)
	}
}

func againAfterRestart(t *testing.T, d Destination) {
	t.Helper()
	write(t, d.New(t), Records(0, 10))
	// The acknowledgement was lost: the next proxy delivers some again.
	write(t, d.New(t), Records(5, 20))
	if diff := cmp.Diff(lines(Records(0, 20)), once(d.Received(t))); diff != "" {
		t.Errorf("received once each: -want, +got:\n%s", diff)
	}
}

func doesNotKeep(t *testing.T, d Destination) {
	t.Helper()
	s := d.New(t)
	batch := Records(0, 3)
	before := lines(batch)
	write(t, s, batch)
	if diff := cmp.Diff(before, lines(batch)); diff != "" {
		t.Errorf("Write modified its batch: -before, +after:\n%s", diff)
	}
	for _, r := range batch {
		copy(r.JSON, bytes.Repeat([]byte("x"), len(r.JSON)))
	}
	write(t, s, Records(3, 6))
	compare(t, Records(0, 6), d.Received(t))
}

func failsWhileBroken(t *testing.T, d Destination) {
	t.Helper()
	s := d.New(t)
	write(t, s, Records(0, 5))
	mend := d.Break(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.Write(ctx, Records(5, 10)); err == nil {
		t.Error("Write accepted records that the destination did not take")
	}
	mend()
	write(t, s, Records(5, 12))
	if diff := cmp.Diff(lines(Records(0, 12)), once(d.Received(t))); diff != "" {
		t.Errorf("received once each: -want, +got:\n%s", diff)
	}
}
