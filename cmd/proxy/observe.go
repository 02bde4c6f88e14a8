// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/doorward/doorward/cmd/version"
	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/hostkey"
	"github.com/doorward/doorward/proxy/kube"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/server"
)

// newMetrics makes the figures; the token is nil where it is not the proxy's to renew.
func newMetrics(token *kube.Token) *server.Metrics {
	metrics := server.NewMetrics()
	metrics.BuildInfo(version.String())
	if token != nil {
		metrics.WatchExpiry("token_expiry_timestamp_seconds",
			"When the token of the proxy's kubeconfig ends, in Unix time; 0 where it does not say.", "", token.Expires)
	}
	return metrics
}

// watch registers the figures of what all connections share.
func (p *proxy) watch() {
	p.metrics.WatchLog(p.spool, func() (used, limit int64) {
		usage := p.spool.Usage()
		return usage.Used, usage.Max
	})
	p.metrics.WatchSinks(p.delivery.Statuses)
	p.metrics.WatchSharing(p.sharing)
	if p.options.witness {
		p.metrics.WatchWitness(p.spool, p.spool.Witness().Held)
	}
}

// observers are those of a Connection's road.
func (p *proxy) observers(connection string) []access.Observer {
	observers := []access.Observer{p.metrics.Observe(connection)}
	if p.tracer != nil {
		observers = append(observers, p.tracer)
	}
	return observers
}

// stopTraces sends the last traces.
func (p *proxy) stopTraces(ctx context.Context) {
	if p.tracer == nil {
		return
	}
	if err := p.tracer.Stop(ctx); err != nil {
		p.log.Error(err, "Traces are lost")
	}
}

// auditReports are the counts of the policies in mode Audit that would have changed
// anything, those with the largest first.
func auditReports(counts []access.AuditCount) []report.Audit {
	var audits []report.Audit
	for _, count := range counts[:min(len(counts), report.MaxAudits)] {
		if count.Deny+count.RequireApproval+count.Allow+count.Mask > 0 {
			audits = append(audits, report.Audit(count))
		}
	}
	return audits
}

// watchExpiry registers when the serving certificate ends, and has the figures of
// foreign logins begin.
func (c *connection) watchExpiry() {
	c.proxy.logins.Touch(c.namespace + "/" + c.name)
	c.proxy.metrics.WatchExpiry("serving_certificate_expiry_timestamp_seconds",
		"When the certificate shown to clients ends, or the SSH host certificate where that is earlier, in Unix time; 0 where there is none.",
		c.namespace+"/"+c.name, c.expiry)
}

// expiry is the first end of what clients know the proxy by; zero where it lacks any.
func (c *connection) expiry() time.Time {
	certificate, err := c.certificates.Certificate()
	if err != nil {
		return time.Time{}
	}
	ends := notAfter(certificate)
	if !c.protocols.UsesHostKeys() {
		return ends
	}
	keys, err := c.certificates.HostKeys()
	if err != nil {
		return time.Time{}
	}
	if at := hostkey.Expiry(keys); at.Before(ends) {
		return at
	}
	return ends
}

// notAfter is the end of the first certificate of a chain.
func notAfter(certificate *tls.Certificate) time.Time {
	leaf := certificate.Leaf
	if leaf == nil && len(certificate.Certificate) > 0 {
		leaf, _ = x509.ParseCertificate(certificate.Certificate[0]) // nil where it is none
	}
	if leaf == nil {
		return time.Time{}
	}
	return leaf.NotAfter
}
