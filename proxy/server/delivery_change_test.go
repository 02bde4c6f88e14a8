// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/snapshot"
)

// checklist 42: a LogSink of the same name that is on this machine now is no
// remote one, and the other way about.
func TestRemoteFollowsType(t *testing.T) {
	p := newPost(t, t.TempDir(), "data/shop")
	local := &snapshot.Snapshot{Sinks: []snapshot.Sink{{Name: "siem", Type: "File"}}}
	remotely := record.Event{Type: record.OperationDecided, Durability: record.Remote}
	for range 2 {
		p.delivery.Want("data/shop", sinks("siem"))
		p.place("siem").await(t, "the Webhook", func(l *listening) bool {
			return len(l.opened) > 0 && l.opened[len(l.opened)-1].Type == "Webhook"
		})
		if _, err := p.log.Append(t.Context(), remotely); err != nil {
			t.Errorf("with a Webhook: %v", err)
		}
		p.delivery.Want("data/shop", local)
		p.place("siem").await(t, "the File", func(l *listening) bool { return l.opened[len(l.opened)-1].Type == "File" })
		if position, err := p.log.Append(t.Context(), remotely); err == nil {
			t.Errorf("record %d counts as remote, but only a file has it", position.Index)
		}
	}
}

// checklist 43: a Secret that changes while the proxy ends opens nothing that
// nobody closes.
func TestSecretChangesAtTheEnd(t *testing.T) {
	p := newPost(t, t.TempDir(), "data/shop")
	s := sinks("a")
	s.Sinks[0].Secret = true
	p.delivery.Want("data/shop", s)
	p.append(1)
	p.place("a").awaitRecord(t, 0)
	must(t, p.stop())
	p.delivery.SecretChanged("data/shop")
	p.place("a").set(func(l *listening) {
		if len(l.opened) != l.closed {
			t.Errorf("opened %d times, closed %d times", len(l.opened), l.closed)
		}
	})
}
