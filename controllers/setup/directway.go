// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/doorward/doorward/controllers/directway"
)

// triedQueue is how many results may wait for their Connections to be reconciled.
// What finds no place is met at the next report of a proxy.
const triedQueue = 1024

// directWay makes what tries the direct way to isolated targets.
func directWay(o Options, tried chan<- event.GenericEvent) (*directway.Prober, error) {
	options := o.DirectWay
	if options.From == "" {
		options.From = fmt.Sprintf("the manager in namespace %q", o.Namespace)
	}
	options.Changed = func(connection types.NamespacedName, _, _ directway.Result) {
		select {
		case tried <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{
			ObjectMeta: metav1.ObjectMeta{Namespace: connection.Namespace, Name: connection.Name},
		}}:
		default:
		}
	}
	prober := directway.New(options)
	if o.Metrics != nil {
		if err := o.Metrics.Register(prober); err != nil {
			return nil, fmt.Errorf("cannot register the figures of isolation: %w", err)
		}
	}
	return prober, nil
}
