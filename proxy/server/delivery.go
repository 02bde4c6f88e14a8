// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/snapshot"
)

// retryAdding is how often a sink is tried again whose place in the log could
// not be found.
const retryAdding = 5 * time.Second

// SinkFeed is one sink's feed of the log.
type SinkFeed interface {
	sink.Feed
	Close() error
}

// DeliveryLog is the log as a Delivery needs it; spool.Log is one.
type DeliveryLog interface {
	// AddSink has a sink counted, so that what it lacks is not deleted;
	// RemoveSink ends that.
	AddSink(name string) error
	RemoveSink(name string) error
	// SetRetention says how long records are kept at least; a hold keeps all.
	SetRetention(age time.Duration, hold string)
}

// DeliveryOptions are what a Delivery needs.
type DeliveryOptions struct {
	Log DeliveryLog
	// Feed opens the feed of a sink that was added to Log.
	Feed func(sink string) (SinkFeed, error)
	// Open opens a sink with the settings of a Connection's snapshot. It does
	// not wait for the destination.
	Open func(connection string, s snapshot.Sink) (sink.Sink, error)
	// Connections are the names of all that the proxy serves. Nothing is
	// deleted until each has a snapshot: only then it is known who needs it.
	Connections []string
	// AwaitTimeout is DefaultAwaitTimeout where zero.
	AwaitTimeout time.Duration
	Shipper      sink.Options
}

// Delivery brings the records to the LogSinks that the snapshots of a proxy's
// Connections name, and keeps what they lack, or what must be kept, in the log.
type Delivery struct {
	options DeliveryOptions
	shipper *sink.Shipper

	mu     sync.Mutex        // guards what follows
	wanted map[string]wanted // by Connection
	routes map[string]*route // by LogSink
	// leaving are the sinks that are being removed.
	leaving map[string]bool
	// lost is why a sink that is wanted is not in the log.
	lost  map[string]error
	ended bool
	group sync.WaitGroup
}

// route is one LogSink in use.
type route struct {
	connection string // whose settings hold
	settings   snapshot.Sink
	outlet     *outlet
	feed       SinkFeed
}

// wanted is what the snapshot of a Connection wants, and when that was made.
type wanted struct {
	connection string
	made       time.Time
	revision   int64
	sinks      []snapshot.Sink
	audit      snapshot.Audit
}

// older orders by age. Each Connection counts revisions of its own, so that the
// manager's time comes first; the name makes the order total.
func older(a, b wanted) int {
	return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.revision, b.revision), strings.Compare(a.connection, b.connection))
}

// NewDelivery makes a Delivery that has no sinks yet.
func NewDelivery(options DeliveryOptions) (*Delivery, error) {
	if options.AwaitTimeout <= 0 {
		options.AwaitTimeout = DefaultAwaitTimeout
	}
	shipper, err := sink.NewShipper(nil, options.Shipper)
	if err != nil {
		return nil, err
	}
	d := &Delivery{
		options: options, shipper: shipper, wanted: map[string]wanted{}, routes: map[string]*route{},
		leaving: map[string]bool{}, lost: map[string]error{},
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reconcile()
	return d, nil
}

// Want says which sinks the snapshot of a Connection names, and how long it has
// records kept. Where snapshots of different age name the same sink, the newest
// one's settings hold; of the times, the longest.
func (d *Delivery) Want(connection string, s *snapshot.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted[connection] = wanted{
		connection: connection, made: s.Time, revision: s.Revision, sinks: slices.Clone(s.Sinks), audit: s.Audit,
	}
	d.reconcile()
}

// SecretChanged has the sinks opened anew that use a Connection's Secret.
func (d *Delivery) SecretChanged(connection string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return // nobody would close what is opened now
	}
	for name, r := range d.routes {
		if r.connection == connection && r.settings.Secret {
			d.use(name, r)
		}
	}
}

// Run delivers until ctx ends, then what is left within the Shipper's drain
// timeout, and closes all sinks. It is called once.
func (d *Delivery) Run(ctx context.Context) error {
	retrying, stop := context.WithCancel(ctx)
	retried := make(chan struct{})
	go func() {
		defer close(retried)
		d.retry(retrying)
	}()
	err := d.shipper.Run(ctx)
	stop()
	<-retried
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.group.Wait()
	errs := []error{err}
	for _, r := range d.routes {
		r.outlet.Close()
		errs = append(errs, r.feed.Close())
	}
	return errors.Join(errs...)
}

// retry tries again what could not be added.
func (d *Delivery) retry(ctx context.Context) {
	tick := time.NewTicker(retryAdding)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.mu.Lock()
			if len(d.lost) > 0 {
				d.reconcile()
			}
			d.mu.Unlock()
		}
	}
}

// reconcile makes the sinks in use those that are wanted. The lock is held.
func (d *Delivery) reconcile() {
	if d.ended {
		return
	}
	sinks, from := map[string]snapshot.Sink{}, map[string]string{}
	for _, w := range slices.SortedFunc(maps.Values(d.wanted), older) {
		for _, s := range w.sinks {
			sinks[s.Name], from[s.Name] = s, w.connection
		}
	}
	clear(d.lost)
	for _, name := range slices.Sorted(maps.Keys(sinks)) {
		r := d.routes[name]
		switch {
		case d.leaving[name]: // comes back when it has left
			d.lost[name] = errLeaving
		case r == nil:
			if err := d.add(name, from[name], sinks[name]); err != nil {
				d.lost[name] = err
			}
		case remote(r.settings.Type) != remote(sinks[name].Type):
			// Another LogSink of that name: whether it counts as remote cannot
			// change while it is fed.
			d.lost[name] = errLeaving
			d.remove(name, r)
		case !reflect.DeepEqual(r.settings, sinks[name]), r.settings.Secret && r.connection != from[name]:
			r.connection, r.settings = from[name], sinks[name]
			d.use(name, r)
		}
	}
	for name, r := range d.routes {
		if _, still := sinks[name]; !still {
			d.remove(name, r)
		}
	}
	d.options.Log.SetRetention(d.retention())
}

// add begins to deliver to a sink. The lock is held.
func (d *Delivery) add(name, connection string, settings snapshot.Sink) error {
	if err := d.options.Log.AddSink(name); err != nil {
		return err
	}
	feed, err := d.options.Feed(name)
	if err != nil {
		return err
	}
	r := &route{connection: connection, settings: settings, outlet: &outlet{}, feed: feed}
	d.use(name, r)
	if err := d.shipper.Add(sink.Target{Name: name, Sink: r.outlet, Feed: feed, Remote: remote(settings.Type)}); err != nil {
		r.outlet.Close()
		return errors.Join(err, feed.Close())
	}
	d.routes[name] = r
	return nil
}

// use opens a sink with its settings at present. The lock is held.
func (d *Delivery) use(name string, r *route) {
	connection, settings := r.connection, r.settings
	r.outlet.use(func() (sink.Sink, error) {
		s, err := d.options.Open(connection, settings)
		if err != nil {
			return nil, err
		}
		return s, nil
	})
	d.shipper.Retry(name)
}

// remove ends the delivery to a sink, without waiting for it. The lock is held.
func (d *Delivery) remove(name string, r *route) {
	delete(d.routes, name)
	d.leaving[name] = true
	d.group.Go(func() {
		d.shipper.Remove(name)
		r.outlet.Close()
		// A place that cannot be kept now is older on disk: records come again.
		_ = errors.Join(r.feed.Close(), d.options.Log.RemoveSink(name))
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.leaving, name)
		d.reconcile()
	})
}
