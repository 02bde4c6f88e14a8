// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package egress says which addresses neither a proxy nor the manager connects to for
// anybody's sake: those at which a machine's surroundings, not another machine,
// answer. Clouds hand out credentials of the machine there to whoever asks from it.
//
// It is to be asked when a socket is about to connect, about the address that a name
// led to by then. Private ranges, loopback and shared address space are not refused:
// targets are there.
package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrForbidden is wrapped by every refusal.
var ErrForbidden = errors.New("forbidden address")

// reserved are the addresses outside of the link-local ranges that lead to no other
// machine.
var reserved = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network (RFC 1122 section 3.2.1.3)"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},
	{netip.MustParsePrefix("100.100.100.200/32"), "the metadata service of Alibaba Cloud"},
	{netip.MustParsePrefix("168.63.129.16/32"), "the platform services of Azure"},
	{netip.MustParsePrefix("192.0.0.192/32"), "the metadata service of Oracle Cloud"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "the metadata service of Amazon EC2"},
	{netip.MustParsePrefix("fd00:ec2::23/128"), "the credential service of Amazon EKS"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "the metadata service of Google Compute Engine"},
	{netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), "the metadata service of Oracle Cloud"},
	{netip.MustParsePrefix("fd00:42::42/128"), "the metadata service of Scaleway"},
	{netip.MustParsePrefix("fd00:a9fe:a9fe::1/128"), "the metadata service of Linode"},
	{netip.MustParsePrefix("fd00:100::100:200/128"), "the metadata service of Alibaba Cloud"},
}

// Check refuses an address that leads to a machine's surroundings, in whatever form of
// IPv6 it is written. The error names the address, what is there, and what to do.
func Check(addr netip.Addr) error {
	for _, meant := range meanings(addr) {
		if what := surroundings(meant); what != "" {
			return fmt.Errorf("%w: %s: %q: give the address of the server itself", ErrForbidden, what, addr.String())
		}
	}
	return nil
}

// Control is Check for the Control of a net.Dialer, which is asked about each address that a
// name led to, before the socket connects.
func Control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: not an IP address: %q", ErrForbidden, address)
	}
	return Check(to.Addr())
}

// CheckRemote refuses besides what leads to the own host.
func CheckRemote(addr netip.Addr) error {
	for _, meant := range meanings(addr) {
		if meant.IsLoopback() {
			return fmt.Errorf("%w: loopback: %q: give the address by which others reach the server", ErrForbidden, addr.String())
		}
	}
	return Check(addr)
}

func surroundings(addr netip.Addr) string {
	switch {
	case addr.IsLinkLocalUnicast():
		return "link-local, where clouds have their metadata services"
	case addr.IsUnspecified():
		return "unspecified"
	case addr.IsMulticast():
		return "multicast"
	}
	for _, r := range reserved {
		if r.prefix.Contains(addr) {
			return r.what
		}
	}
	return ""
}

// The forms in which an IPv6 address carries one of IPv4, besides the mapped.
var (
	compatible = netip.MustParsePrefix("::/96")           // RFC 4291 section 2.5.5.1
	translated = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 7915, formerly RFC 2765
	nat64      = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215
	sixToFour  = netip.MustParsePrefix("2002::/16")       // RFC 3056
)

// layouts are where an address of IPv4 is within local prefixes of NAT64 (RFC 6052
// section 2.2), of /48, /56 and /64; that of /96 is the last four bytes.
var layouts = [][4]int{{6, 7, 9, 10}, {7, 9, 10, 11}, {9, 10, 11, 12}}

// meanings are the addresses that one may come to.
func meanings(addr netip.Addr) []netip.Addr {
	addr = addr.WithZone("").Unmap()
	if !addr.Is6() || addr.IsLoopback() || addr.IsUnspecified() {
		return []netip.Addr{addr}
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	all := []netip.Addr{addr}
	switch {
	case compatible.Contains(addr), translated.Contains(addr), nat64.Contains(addr):
		all = append(all, last)
	case sixToFour.Contains(addr):
		all = append(all, netip.AddrFrom4([4]byte(b[2:6])))
	case localNAT64.Contains(addr):
		// Nobody says how long the prefix is. In a longer one these bytes are zero,
		// which is no address that is meant.
		for _, at := range layouts {
			if v4 := netip.AddrFrom4([4]byte{b[at[0]], b[at[1]], b[at[2]], b[at[3]]}); v4.As4()[0] != 0 {
				all = append(all, v4)
			}
		}
		if last.As4()[0] != 0 {
			all = append(all, last)
		}
	}
	return all
}
