// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"

	"github.com/doorward/doorward/proxy/kube"
	"github.com/doorward/doorward/proxy/record/spool"
)

// witnessing shows the log to the witness in the background.
type witnessing struct {
	witness *kube.Witness
	begun   bool
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// newWitnessing prepares it; where the options want no witness, it does nothing.
func newWitnessing(p *proxy) *witnessing {
	w := &witnessing{}
	if !p.options.witness {
		return w
	}
	w.witness = kube.NewWitness(kube.WitnessOptions{
		Client: p.client, Instance: p.options.instance, Log: p.spool.Witness(), Keys: p.spool.Keys, Logger: p.log,
		IsConflict: func(err error) bool { return errors.Is(err, spool.ErrConflict) },
		IsGone:     func(err error) bool { return errors.Is(err, spool.ErrGone) },
	})
	return w
}

// serve names a Connection, before begin.
func (w *witnessing) serve(c *connection) {
	if w.witness != nil {
		w.witness.Serve(c.namespace, c.name, c.problems)
	}
}

// begin is called once the instance's id is claimed: two processes with one id
// would show two logs in one place.
func (w *witnessing) begin(ctx context.Context) {
	if w.witness == nil {
		return
	}
	ctx, w.cancel = context.WithCancel(ctx)
	w.begun = true
	w.done.Go(func() { w.witness.Run(ctx) })
}

// end waits, for a bounded time, until the witness holds the end of the log. It
// may be called again.
func (w *witnessing) end() {
	if w.begun {
		w.cancel()
		w.done.Wait()
	}
}
