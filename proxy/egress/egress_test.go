// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// TestCheck is checklist 25: metadata services and link-local addresses are refused,
// however they are written; what targets have is not.
func TestCheck(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.7":                    "",
		"172.16.0.1":                  "",
		"192.168.1.4":                 "",
		"100.64.0.1":                  "", // shared address space, of overlay networks too
		"100.100.100.201":             "",
		"192.0.0.193":                 "",
		"203.0.113.9":                 "",
		"127.0.0.1":                   "",
		"::1":                         "",
		"fd12::1":                     "",
		"fd00:ec2::1":                 "",
		"2001:db8::1":                 "",
		"::ffff:192.168.10.250":       "",
		"64:ff9b::a00:1":              "", // NAT64 to 10.0.0.1
		"64:ff9b:1::a00:1":            "", // RFC 8215, /96
		"64:ff9b:1:a00:0:100::":       "", // /48
		"2002:a00:1::1":               "",
		"169.254.0.1":                 "link-local",
		"169.254.169.254":             "link-local",
		"fe80::1":                     "link-local",
		"fe80::1%eth0":                "link-local",
		"febf::1":                     "link-local",
		"::ffff:169.254.10.10":        "link-local",
		"::169.254.169.254":           "link-local",
		"::ffff:0:169.254.169.254":    "link-local",
		"64:ff9b::a9fe:a9fe":          "link-local",
		"64:ff9b:1::a9fe:a9fe":        "link-local",
		"64:ff9b:1:a9fe:a9:fe00::":    "link-local", // /48
		"64:ff9b:1:a9:fe:a9fe::":      "link-local", // /56
		"64:ff9b:1:0:a9:fea9:fe00:0":  "link-local", // /64
		"2002:a9fe:a9fe::1":           "link-local",
		"0.0.0.0":                     "unspecified",
		"::":                          "unspecified",
		"::ffff:0.0.0.0":              "unspecified",
		"0.1.2.3":                     "this network",
		"224.0.0.1":                   "multicast",
		"ff02::1":                     "multicast",
		"::ffff:224.0.0.1":            "multicast",
		"255.255.255.255":             "broadcast",
		"64:ff9b::ffff:ffff":          "broadcast",
		"100.100.100.200":             "Alibaba",
		"::ffff:100.100.100.200":      "Alibaba",
		"64:ff9b::6464:64c8":          "Alibaba",
		"64:ff9b:1:64:64:64c8::":      "Alibaba",
		"fd00:100::100:200":           "Alibaba",
		"168.63.129.16":               "Azure",
		"::ffff:168.63.129.16":        "Azure",
		"64:ff9b::a83f:8110":          "Azure",
		"192.0.0.192":                 "Oracle",
		"::ffff:c000:c0":              "Oracle",
		"fd00:c1::a9fe:a9fe":          "Oracle",
		"fd00:ec2::254":               "Amazon EC2",
		"fd00:ec2:0:0:0:0:0:254%eth0": "Amazon EC2",
		"fd00:ec2::23":                "Amazon EKS",
		"fd20:ce::254":                "Google",
		"fd00:42::42":                 "Scaleway",
		"fd00:a9fe:a9fe::1":           "Linode",
	} {
		t.Run(address, func(t *testing.T) {
			err := Check(netip.MustParseAddr(address))
			if (want == "") != (err == nil) {
				t.Fatalf("got %v, want %q", err, want)
			}
			if err == nil {
				return
			}
			// It names the address, what is there, and the remedy.
			for _, part := range []string{want, netip.MustParseAddr(address).String(), "give the address"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if !errors.Is(err, ErrForbidden) {
				t.Errorf("%v is no ErrForbidden", err)
			}
		})
	}
}

// TestCheckRemote: who is asked by others does not connect to itself for them.
func TestCheckRemote(t *testing.T) {
	for address, allowed := range map[string]bool{
		"10.0.0.7": true, "2001:db8::1": true, "64:ff9b::a00:1": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "::ffff:127.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false,
		"169.254.169.254": false, "fd00:ec2::254": false,
	} {
		if err := CheckRemote(netip.MustParseAddr(address)); allowed != (err == nil) || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v, want allowed %t", address, err, allowed)
		}
	}
}

// TestControl (checklist 25): what counts is the address that a name has led to when the
// socket connects.
func TestControl(t *testing.T) {
	for address, ok := range map[string]bool{
		"10.0.0.7:443": true, "127.0.0.1:443": true, "[2001:db8::1]:443": true,
		"169.254.169.254:80": false, "[fe80::1%eth0]:80": false, "[::ffff:169.254.169.254]:443": false,
		"metadata.internal:80": false, // only addresses can be judged
	} {
		if err := Control("tcp", address, nil); (err == nil) != ok || err != nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v, want allowed %t", address, err, ok)
		}
	}
}
