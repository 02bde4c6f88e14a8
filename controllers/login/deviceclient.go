// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"net/netip"
	"net/url"
	"regexp"

	"github.com/doorward/doorward/proxy/identity/gateway"
)

// connectionName is namespace/name of a Connection (RFC 1123 labels, with dots in the name).
var connectionName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// deviceOf says for what a device code is asked: by the plugin, for its machine; by a proxy, for
// a caller of a Connection. Nobody proves to be a proxy: what is issued to one is bound to
// what it keeps in memory for one handshake, and good for nobody who only says so. So whom a
// person lets in is whom a proxy has seen, and said (RFC 8628, section 5.4).
func deviceOf(form url.Values) (where, error) {
	of := where{Connection: form.Get(gateway.ParameterConnection), Client: form.Get(gateway.ParameterClient)}
	if form.Get("client_id") != gateway.ProxyClient {
		if of != (where{}) {
			return where{}, refuse(codeInvalidRequest, "%s and %s are for client_id %s: leave them out", gateway.ParameterConnection, gateway.ParameterClient, gateway.ProxyClient)
		}
		return where{}, checkClient(form)
	}
	address, err := netip.ParseAddr(of.Client)
	if err != nil || address.Zone() != "" || address.String() != of.Client {
		return where{}, refuse(codeInvalidRequest, "invalid %s: want an IP address: %q", gateway.ParameterClient, shortened(of.Client))
	}
	if !connectionName.MatchString(of.Connection) {
		return where{}, refuse(codeInvalidRequest, "invalid %s: want namespace/name: %q", gateway.ParameterConnection, shortened(of.Connection))
	}
	return of, nil
}

// checkClient refuses a device code to another client than the one that it was given to.
func (d *device) checkClient(form url.Values) error {
	if d.Where == (where{}) {
		return checkClient(form)
	}
	if got := form.Get("client_id"); got != gateway.ProxyClient {
		return refuse(codeInvalidClient, "unknown client_id: %q: want %q for this device_code", shortened(got), gateway.ProxyClient)
	}
	return nil
}
