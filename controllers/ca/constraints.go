// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ca

import (
	"fmt"
	"net"
	"strings"
)

// Constraints are the names an authority may sign for. A DNS domain permits
// itself and everything below it.
type Constraints struct {
	DNSDomains []string
	IPRanges   []*net.IPNet
}

// DefaultDNSDomains and DefaultIPRanges permit names inside a cluster and of the
// local machine only.
var (
	DefaultDNSDomains = []string{"svc", "cluster.local", "localhost"}
	DefaultIPRanges   = []string{"127.0.0.0/8", "::1/128"}
)

// NewConstraints parses domains and CIDR ranges.
func NewConstraints(domains, ranges []string) (Constraints, error) {
	c := Constraints{}
	for _, domain := range domains {
		domain = strings.ToLower(strings.TrimPrefix(domain, "."))
		if domain == "" || strings.ContainsFunc(domain, notInName) {
			return Constraints{}, fmt.Errorf("invalid DNS domain: %q: write it as example.org", domain)
		}
		c.DNSDomains = append(c.DNSDomains, domain)
	}
	for _, text := range ranges {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			return Constraints{}, fmt.Errorf("invalid IP range: %q: write it as 10.0.0.0/8", text)
		}
		c.IPRanges = append(c.IPRanges, network)
	}
	// Without any entry, RFC 5280 would permit everything of that form.
	if len(c.DNSDomains) == 0 || len(c.IPRanges) == 0 {
		return Constraints{}, fmt.Errorf("at least one DNS domain and one IP range are needed, else the authority could sign any name")
	}
	return c, nil
}

// notInName says which characters a DNS domain does not have; some of them mean something
// in a pattern of known_hosts.
func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// Permits says whether a DNS name or IP address may be signed.
func (c Constraints) Permits(name string) bool {
	if ip := net.ParseIP(name); ip != nil {
		for _, network := range c.IPRanges {
			if network.Contains(ip) {
				return true
			}
		}
		return false
	}
	name = strings.ToLower(name)
	for _, domain := range c.DNSDomains {
		if name == domain || strings.HasSuffix(name, "."+domain) {
			return true
		}
	}
	return false
}

// equal says whether a certificate has these constraints.
func (c Constraints) equal(domains []string, ranges []*net.IPNet) bool {
	if len(c.DNSDomains) != len(domains) || len(c.IPRanges) != len(ranges) {
		return false
	}
	for i := range domains {
		if c.DNSDomains[i] != domains[i] {
			return false
		}
	}
	for i := range ranges {
		if c.IPRanges[i].String() != ranges[i].String() {
			return false
		}
	}
	return true
}
