// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward/proxy/record"
)

// ErrNoRoute says that a client named a Connection that nobody is led to from here.
var ErrNoRoute = errors.New("no connection may be named so at this address")

// attributeListener is the attribute of what is on record of a client that came to the
// address of another Connection: that one, as namespace/name.
const attributeListener = "listener"

// Offer says to which gates the client may be led, beside the entry's own; see Route. It is
// the server's to say, before the entry is used.
func (e *Entry) Offer(gates []*Gate) { e.offered = gates }

// Route is the entry of the Connection that the client names, as "name" or "namespace/name":
// this one where it names none or this, else that of the offered gate which has the name and
// the same protocol. Proof, session and all that is on record are then that Connection's. A
// protocol whose clients name one calls it on the entry that it was given, before each attempt
// to prove the caller: an attempt that names another is about another.
//
// The error is ErrNoRoute, and why, which is for the record: nothing like the name is offered,
// or two are. Which Connections there are is not for those who are not proven. Where a client
// names another Connection than this, a protocol must not let it tell the error from a refusal
// at the entry that Route returns, neither by words nor by time, and say nothing before the
// proof that is that Connection's own, such as its Issuers.
//
// The Handler goes on to be that of the entry's own Connection: what it keeps between clients
// must not be of one Connection.
func (e *Entry) Route(connection string) (*Entry, error) {
	e.routed = nil
	if connection == "" || e.gate.named(connection) {
		return e, nil
	}
	gate, err := e.choose(connection)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(e.others, func(other *Entry) bool { return other.gate == gate })
	if i < 0 {
		i = len(e.others)
		e.others = append(e.others, &Entry{
			gate: gate, client: e.client, accepted: e.accepted, steps: slices.Clone(e.steps), certificate: e.certificate,
			granted: e.granted, listener: e.gate.fullName(),
		})
	}
	e.routed = e.others[i]
	return e.routed, nil
}

// Elsewhere says whether a client that names a Connection so names another than the entry's.
func (e *Entry) Elsewhere(connection string) bool {
	return connection != "" && !e.gate.named(connection)
}

// Routed is the entry that the last Route led to, this one where there was none or it failed.
func (e *Entry) Routed() *Entry {
	if e.routed != nil {
		return e.routed
	}
	return e
}

// choose finds the one gate that a client may mean.
func (e *Entry) choose(connection string) (*Gate, error) {
	var found *Gate
	protocol := e.gate.protocol()
	for _, gate := range e.offered {
		if gate == e.gate || protocol == "" || gate.protocol() != protocol || !gate.named(connection) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: %q is %s and %s: name it with its namespace", ErrNoRoute, connection, found.fullName(), gate.fullName())
		}
		found = gate
	}
	if found == nil {
		return nil, fmt.Errorf("%w: %q", ErrNoRoute, connection)
	}
	return found, nil
}

// named says whether a client that names a Connection so may mean this one's.
func (g *Gate) named(connection string) bool {
	namespace, name, qualified := strings.Cut(connection, "/")
	if !qualified {
		return connection == g.config.Connection.Name
	}
	return namespace == g.config.Connection.Namespace && name == g.config.Connection.Name
}

func (g *Gate) fullName() string {
	return g.config.Connection.Namespace + "/" + g.config.Connection.Name
}

// protocol is that of the snapshot in force; empty before the first.
func (g *Gate) protocol() string {
	if st := g.state.Load(); st != nil {
		return st.snapshot.Protocol
	}
	return ""
}

// arrival is what is on record of how a client came here.
func (e *Entry) arrival() []record.Attribute {
	if e.listener == "" {
		return nil
	}
	return []record.Attribute{{Name: attributeListener, Value: e.listener}}
}
