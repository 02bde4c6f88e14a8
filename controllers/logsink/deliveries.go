// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package logsink

import (
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/doorward/doorward/proxy/report"
)

// delivery is how a sink takes the records of one proxy instance.
type delivery struct {
	connection types.NamespacedName
	instance   string
	report.Sink
}

// Deliveries gathers what proxies report of the sinks. The reconciler of
// Connections, which reads the reports, tells it; so every report is read once,
// however many sinks there are. It is safe for concurrent use.
type Deliveries struct {
	changed chan event.GenericEvent

	mu   sync.Mutex // guards seen
	seen map[types.NamespacedName][]delivery
}

// NewDeliveries makes an empty one.
func NewDeliveries() *Deliveries {
	return &Deliveries{changed: make(chan event.GenericEvent, 1), seen: map[types.NamespacedName][]delivery{}}
}

// Observe replaces what is known of a Connection's proxies by the reports of the
// live ones.
func (d *Deliveries) Observe(connection types.NamespacedName, reports []report.Report) {
	all := []delivery{}
	for _, r := range reports {
		named := map[string]bool{}
		for _, sink := range r.Sinks[:min(len(r.Sinks), report.MaxSinks)] {
			if !named[sink.Name] {
				named[sink.Name] = true
				all = append(all, delivery{connection: connection, instance: r.Instance, Sink: sink})
			}
		}
	}
	d.mu.Lock()
	before, known := d.seen[connection]
	d.seen[connection] = all
	d.mu.Unlock()
	if !known || !slices.Equal(before, all) {
		d.tell()
	}
}

// Forget says that a Connection is gone.
func (d *Deliveries) Forget(connection types.NamespacedName) {
	d.mu.Lock()
	delete(d.seen, connection)
	d.mu.Unlock()
	d.tell()
}

func (d *Deliveries) tell() {
	select {
	case d.changed <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{}}:
	default: // one is waiting
	}
}

// of returns what is known of a sink.
func (d *Deliveries) of(sink string) []delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []delivery
	for _, all := range d.seen {
		for _, one := range all {
			if one.Name == sink {
				found = append(found, one)
			}
		}
	}
	return found
}

// heardOf says whether the proxies of every one of the Connections were observed.
func (d *Deliveries) heardOf(connections []types.NamespacedName) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, connection := range connections {
		if _, ok := d.seen[connection]; !ok {
			return false
		}
	}
	return true
}
