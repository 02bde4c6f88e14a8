// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/doorward/doorward/proxy/pace"
)

// Bounds of a request.
const (
	maxBody      = 64 << 10
	maxAssertion = 512 << 10
	maxHeader    = 64 << 10
)

// guard is what holds for every request: it is for this host, at a bounded pace, of a
// bounded size, and not sent by a page of another site.
func (p *Portal) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	// An identity provider has the browser send assertions: what it sends is proven by
	// its signature and by the browser's own cookie.
	cross.AddInsecureBypassPattern("POST /saml/{provider}/acs")
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.counted.Refused("cross-origin", codeInvalidRequest)
		http.Error(w, "This was sent by a page of another site.", http.StatusForbidden)
	}))
	inner := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if !strings.EqualFold(r.Host, p.url.Host) {
			http.Error(w, "Nothing of this name is here: come by "+p.origin(), http.StatusMisdirectedRequest)
			return
		}
		if !p.hosts.Allow(pace.Host(p.addressOf(r)), p.now()) {
			p.counted.Refused("pace", codeSlowDown)
			w.Header().Set("Retry-After", "5")
			w.Header().Set("Connection", "close")
			http.Error(w, "Too many requests: wait a little.", http.StatusTooManyRequests)
			return
		}
		limit := int64(maxBody)
		if strings.HasPrefix(r.URL.Path, "/saml/") {
			limit = maxAssertion
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		inner.ServeHTTP(w, r)
	})
}

// secure sets the headers that every answer has.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy+"'self'")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// addressOf is where a request comes from. What X-Forwarded-For says is believed of those
// who were configured, and of it only what they added themselves (checklist 50).
func (p *Portal) addressOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	address = address.Unmap().WithZone("")
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0 && p.trusted(address); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break
		}
		address = before.Unmap().WithZone("")
	}
	return address
}

func (p *Portal) trusted(address netip.Addr) bool {
	for _, prefix := range p.options.TrustedProxies {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}
