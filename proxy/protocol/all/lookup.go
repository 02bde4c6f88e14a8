// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package all lists the protocols this build has, and finds one by its name.
package all

import "github.com/doorward/doorward/proxy/protocol"

//go:generate sh -c "cd ../../.. && go run ./hack/genprotocols"

// Lookup finds a protocol by the word of Connection.spec.protocol.
func Lookup(name string) (protocol.Protocol, bool) {
	for _, p := range Protocols() {
		if p.Name() == name {
			return p, true
		}
	}
	return nil, false
}
