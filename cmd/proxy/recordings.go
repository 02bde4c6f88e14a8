// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"k8s.io/klog/v2"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/recordings"
	"github.com/doorward/doorward/proxy/server"
)

// offerRecordings opens the port where the manager reads recordings, where there is to
// be one, and has the report say where it is.
func (c *connection) offerRecordings(ctx context.Context) (err error) {
	address := c.proxy.options.recordings[c.namespace+"/"+c.name]
	if address == "" {
		return nil
	}
	if c.recordings, err = server.Listen(ctx, address); err != nil {
		return fmt.Errorf("cannot give recordings: %w: give another --recordings-address=%s/%s=HOST:PORT, or none", err, c.namespace, c.name)
	}
	c.reporter.Recordings = c.proxy.reachable(c.recordings.Addr())
	return nil
}

// withdrawRecordings closes the port, where it is open.
func (c *connection) withdrawRecordings() {
	if c.recordings != nil {
		_ = c.recordings.Close() // it may be closed already
	}
}

// serveRecordings gives the manager recordings until ctx ends.
func (c *connection) serveRecordings(ctx context.Context) {
	if c.recordings == nil {
		return
	}
	name := c.namespace + "/" + c.name
	log := c.proxy.log.WithValues("Connection", klog.KRef(c.namespace, c.name))
	err := recordings.New(recordings.Options{
		Log: c.proxy.spool, Gone: spool.ErrGone, Key: c.proxy.options.snapshotKey, Certificate: c.certificates.Certificate,
		Now: c.inForce, Logger: log, Served: c.proxy.metrics.Recordings(name, recordings.Outcomes()),
	}).Serve(ctx, c.recordings)
	if err != nil {
		log.Error(err, "Recordings are not served any more")
	}
}

// inForce is what records of readings say of the Connection; false before its first
// snapshot.
func (c *connection) inForce() (recordings.Now, bool) {
	s := c.snapshot()
	if s == nil {
		return recordings.Now{}, false
	}
	return recordings.Now{
		Connection: record.Connection{Namespace: c.namespace, Name: c.name, UID: s.Connection.UID},
		Revision:   s.Revision, Durability: record.Durability(s.Audit.Durability),
	}, true
}
