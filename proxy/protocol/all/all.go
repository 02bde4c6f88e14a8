// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package all is every wire protocol that a proxy can speak. The list is
// generated of the folders: go generate ./proxy/protocol/all.
package all

import "github.com/doorward/doorward/proxy/protocol"

//go:generate go run github.com/doorward/doorward/hack/gen-protocols .. zz_generated.protocols.go

// Protocols returns all protocols, sorted by the name of their folder.
func Protocols() []protocol.Protocol { return list() }

// Lookup finds a protocol by the word of Connection.spec.protocol.
func Lookup(name string) (protocol.Protocol, bool) {
	for _, p := range list() {
		if p.Name() == name {
			return p, true
		}
	}
	return nil, false
}
