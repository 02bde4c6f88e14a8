// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/kafka"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

// destination is a topic of one partition, so that there is one order.
func destination(t *testing.T) sinktest.Destination {
	t.Helper()
	b := startBroker(t, 1)
	return sinktest.Destination{
		New: func(t *testing.T) sink.Sink {
			t.Helper()
			return newSink(t, kafka.Options{Brokers: []string{b.address}, TLS: inTheClear})
		},
		Received: func(t *testing.T) [][]byte {
			t.Helper()
			return values(received(t, []string{b.address}, 1)[0])
		},
		Break: func(t *testing.T) func() {
			t.Helper()
			b.kill(t)
			return func() { b.start(t) }
		},
	}
}

func TestConformance(t *testing.T) { sinktest.Run(t, destination) }

// TestOutage kills the broker under load.
func TestOutage(t *testing.T) { sinktest.Outage(t, destination(t)) }

// message is what readers see of one.
type message struct {
	Key, Value string
	Headers    map[string]string
	Time       time.Time
}

func TestMessage(t *testing.T) {
	const log = sinktest.LogID
	at := time.Unix(1700000000, 123000000).UTC()
	encode := func(index int64, e record.Event) record.Record {
		p := record.Position{LogID: log, Index: index}
		e.Time = at
		return record.Record{Position: p, JSON: record.AppendJSON(nil, p, record.Hash{}, &e)}
	}
	b := startBroker(t, 1)
	batch := []record.Record{
		encode(7, record.Event{Type: record.ProxyStart}),
		encode(8, record.Event{Type: record.SessionStart, Session: "s1"}),
	}
	if err := newSink(t, kafka.Options{Brokers: []string{b.address}, TLS: inTheClear}).Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	want := []message{
		{
			Key: log, Value: string(batch[0].JSON), Time: at, // of no session: the log keeps its order
			Headers: map[string]string{"doorward-record-id": log + "/7", "doorward-log": log, "doorward-index": "7", "doorward-type": "ProxyStart"},
		},
		{
			Key: "s1", Value: string(batch[1].JSON), Time: at,
			Headers: map[string]string{"doorward-record-id": log + "/8", "doorward-log": log, "doorward-index": "8", "doorward-type": "SessionStart"},
		},
	}
	var got []message
	for _, r := range received(t, []string{b.address}, 1)[0] {
		m := message{Key: string(r.Key), Value: string(r.Value), Time: r.Timestamp.UTC(), Headers: map[string]string{}}
		for _, h := range r.Headers {
			m.Headers[h.Key] = string(h.Value)
		}
		got = append(got, m)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// sessions are the ids of a topic's messages in order of first arrival, by key.
func sessions(t *testing.T, partitions [][]*kgo.Record) map[string][]string {
	t.Helper()
	all, where, seen := map[string][]string{}, map[string]int32{}, map[string]bool{}
	for _, partition := range partitions {
		for _, r := range partition {
			key, id := string(r.Key), string(r.Headers[0].Value)
			if p, ok := where[key]; ok && p != r.Partition {
				t.Fatalf("session %q is in partitions %d and %d", key, p, r.Partition)
			}
			where[key] = r.Partition
			if !seen[id] {
				all[key] = append(all[key], id)
			}
			seen[id] = true
		}
	}
	return all
}

// wantSessions is what sessions returns of all records up to end.
func wantSessions(t *testing.T, end int64) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, r := range sinktest.Records(0, end) {
		d, err := record.Decode(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		all[d.Session] = append(all[d.Session], r.Position.ID())
	}
	return all
}
