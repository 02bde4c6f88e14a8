// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pace

import (
	"net"
	"net/netip"
)

// The lengths of the prefixes that belong to one host, and to one network. A host of IPv6
// has whole networks of 64 bits (RFC 4291 section 2.5.4), and whoever is given addresses
// by a provider up to 65536 of these (RFC 6177).
const (
	hostBits6    = 64
	networkBits4 = 24
	networkBits6 = 48
)

// Host is what counts as one host: an address of IPv4, or the network of 64 bits of one of
// IPv6. IPv4 in the form of IPv6 is IPv4.
func Host(address netip.Addr) netip.Addr {
	if address = address.Unmap().WithZone(""); address.Is6() {
		return netip.PrefixFrom(address, hostBits6).Masked().Addr()
	}
	return address
}

// HostOf is Host of an address as text, with a port or without. A text that is no address
// of the Internet is a host of its own.
func HostOf(text string) string {
	if address, ok := parse(text); ok {
		return Host(address).String()
	}
	return text
}

// Places are where an address is, the wider first, as Turns takes them: its network, /24 of
// IPv4 or /48 of IPv6, and its host.
func Places(text string) []string {
	address, ok := parse(text)
	if !ok {
		return []string{text, text}
	}
	host, bits := Host(address), networkBits4
	if host.Is6() {
		bits = networkBits6
	}
	return []string{netip.PrefixFrom(host, bits).Masked().String(), host.String()}
}

func parse(text string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	address, err := netip.ParseAddr(text)
	return address, err == nil
}
