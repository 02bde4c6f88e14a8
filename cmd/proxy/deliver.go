// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"k8s.io/klog/v2"

	"github.com/doorward/doorward/proxy/kube"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/proxy/server"
	"github.com/doorward/doorward/proxy/snapshot"
)

// prepare makes the delivery, which has no sinks yet.
func (p *proxy) prepare() error {
	p.secrets = map[string]*kube.SinkSecrets{}
	for _, connection := range p.options.connections {
		namespace, name, _ := strings.Cut(connection, "/")
		p.secrets[connection] = kube.NewSinkSecrets(p.client, namespace, name, func() { p.delivery.SecretChanged(connection) })
	}
	var err error
	p.delivery, err = server.NewDelivery(server.DeliveryOptions{
		Log: p.spool, Connections: p.options.connections,
		Feed: func(sink string) (server.SinkFeed, error) {
			feed, err := p.spool.NewFeed(sink)
			if err != nil {
				return nil, err
			}
			return feed, nil
		},
		Open: func(connection string, s snapshot.Sink) (sink.Sink, error) {
			return newSink(connection, s, p.secrets[connection].Get)
		},
	})
	return err
}

// deliver starts the delivery to the sinks. The function that it returns ends
// it and waits.
func (p *proxy) deliver(ctx context.Context, running *sync.WaitGroup) func() {
	running.Go(func() { p.watchSinks(ctx) })
	delivering, stop := context.WithCancel(ctx)
	delivered := make(chan error, 1)
	go func() { delivered <- p.delivery.Run(delivering) }()
	return func() {
		stop()
		if err := <-delivered; err != nil {
			p.log.Error(err, "Not all records were delivered, they stay in the log")
		}
	}
}

// watchSinks says every now and then that records wait for their sinks.
func (p *proxy) watchSinks(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, status := range p.delivery.Statuses() {
			if status.LastError != nil {
				p.log.Error(status.LastError, "Records wait for a LogSink, they stay in the log", "LogSink", klog.KRef("", status.Name), "records", status.Lag)
			}
		}
	}
}

// sinkReports is how the sinks are doing, in the words of a report.
func sinkReports(statuses []sink.Status) []report.Sink {
	statuses = slices.Clone(statuses)
	if len(statuses) > report.MaxSinks {
		// Those that are worst must be seen.
		slices.SortStableFunc(statuses, func(a, b sink.Status) int { return cmp.Compare(b.Lag, a.Lag) })
		statuses = statuses[:report.MaxSinks]
		slices.SortFunc(statuses, func(a, b sink.Status) int { return strings.Compare(a.Name, b.Name) })
	}
	all := make([]report.Sink, 0, len(statuses))
	for _, s := range statuses {
		r := report.Sink{Name: s.Name, Reachable: s.Reachable, Lag: s.Lag, AcknowledgedAt: s.LastSuccess.UTC(), Missed: s.Missed}
		if s.LastSuccess.IsZero() {
			r.AcknowledgedAt = time.Time{}
		}
		if s.LastError != nil {
			r.Error = shown(s.LastError.Error())
		}
		all = append(all, r)
	}
	return all
}

// shown makes an error fit for a report: printable, and not longer than one may be.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) > report.MaxSinkError {
		text = strings.ToValidUTF8(text[:report.MaxSinkError], "")
	}
	return text
}
