// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

// hostPatterns writes constraints as patterns of known_hosts (ssh_config(5),
// PATTERNS), in which * stands for anything and there are no ranges. They are never
// narrower than the constraints. Where they are wider, as 127.* is, which names of
// hosts can begin with as well, callers look up more under the authority than it signs.
func hostPatterns(c Constraints) string {
	var all []string
	for _, domain := range c.DNSDomains {
		all = append(all, domain, "*."+domain)
	}
	for _, network := range c.IPRanges {
		if v4 := network.IP.To4(); v4 != nil {
			all = append(all, v4Patterns(v4, network)...)
		} else {
			all = append(all, v6Patterns(network)...)
		}
	}
	return strings.Join(all, ",")
}

// v4Patterns are those of the whole octets of a prefix, and each that the next can be.
func v4Patterns(ip net.IP, network *net.IPNet) []string {
	ones, _ := network.Mask.Size()
	var text strings.Builder
	for i := range ones / 8 {
		fmt.Fprintf(&text, "%d.", ip[i])
	}
	whole := text.String()
	if ones == 8*net.IPv4len {
		return []string{strings.TrimSuffix(whole, ".")}
	}
	if ones%8 == 0 && ones > 0 {
		return []string{whole + "*"}
	}
	tail := ".*"
	if ones/8 == net.IPv4len-1 {
		tail = ""
	}
	first := int(ip[ones/8])
	var all []string
	for octet := first; octet < first+1<<(8-ones%8); octet++ {
		all = append(all, fmt.Sprintf("%s%d%s", whole, octet, tail))
	}
	return all
}

// v6Patterns are those of the whole groups of a prefix. The first group that is zero
// ends them: from there on the address may be shortened (RFC 5952).
func v6Patterns(network *net.IPNet) []string {
	ones, bits := network.Mask.Size()
	if ones == bits {
		return []string{network.IP.String()}
	}
	var text strings.Builder
	for i := range ones / 16 {
		group := binary.BigEndian.Uint16(network.IP[2*i:])
		if group == 0 {
			break
		}
		fmt.Fprintf(&text, "%x:", group)
	}
	if text.Len() > 0 {
		return []string{text.String() + "*"}
	}
	first := network.IP[0] >> 4
	if first != 0 && ones >= 4 {
		return []string{fmt.Sprintf("%x*:*", first)}
	}
	// No name and no [name]:port matches any of these, as *:* would.
	all := []string{"::*"}
	for digit := range 16 {
		all = append(all, fmt.Sprintf("%x*:*", digit))
	}
	return all
}
