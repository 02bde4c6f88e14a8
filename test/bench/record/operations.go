// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/file"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/test/bench/record/load"
)

// fileSink is the name of the sink that operations are delivered to.
const fileSink = "file"

// projection is the name of the reader that shows sessions.
var projection = spool.ReaderName("show")

// followEvery is how often the projection on AuditSession objects reads.
const followEvery = 50 * time.Millisecond

// operations measures what one operation costs a proxy: the record of its
// decision, which is waited for, that of its result, which is not, delivery of
// both to a sink of type File, and reading them for the projection on
// AuditSession objects.
func operations(ctx context.Context, root string, s load.Settings) (_ load.Result, err error) {
	dir := filepath.Join(root, "operations")
	disk := &countingDisk{Disk: spool.OSDisk()}
	log, err := spool.Open(ctx, spool.Options{
		Dir: filepath.Join(dir, "log"), MaxBytes: 8 << 30, SegmentBytes: spool.DefaultSegmentBytes, Disk: disk, Sinks: []string{fileSink, projection},
	})
	if err != nil {
		return load.Result{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var group sync.WaitGroup
	follow, err := log.NewFeed(projection)
	if err != nil {
		return load.Result{}, errors.Join(err, log.Close())
	}
	feed, err := log.NewFeed(fileSink)
	if err != nil {
		return load.Result{}, errors.Join(err, log.Close())
	}
	files, err := file.New(file.Options{Dir: filepath.Join(dir, "file")})
	if err != nil {
		return load.Result{}, errors.Join(err, log.Close())
	}
	shipper, err := sink.NewShipper([]sink.Target{{Name: fileSink, Sink: files, Feed: feed}}, sink.Options{})
	if err != nil {
		return load.Result{}, errors.Join(err, log.Close())
	}
	var followErr, shipErr error
	group.Go(func() { followErr = project(ctx, follow) })
	group.Go(func() { shipErr = shipper.Run(ctx) })

	free, err := freeSessions(ctx, log, s.Writers)
	if err != nil {
		return load.Result{}, errors.Join(err, log.Close())
	}
	result, err := load.Run(s, func() error {
		session := <-free
		defer func() { free <- session }()
		decided, done := session.next()
		if _, err := log.Append(ctx, decided); err != nil {
			return err
		}
		return log.AppendLater(done)
	}, disk.count)
	err = errors.Join(err, log.Close())
	group.Wait()
	return result, errors.Join(err, followErr, shipErr, feed.Close(), follow.Close(), files.Close())
}

// freeSessions are sessions that have begun, for as many writers.
func freeSessions(ctx context.Context, log *spool.Log, writers int) (chan *session, error) {
	free := make(chan *session, writers)
	for _, session := range newSessions(writers) {
		if _, err := log.Append(ctx, session.start()); err != nil {
			return nil, err
		}
		free <- session
	}
	return free, nil
}

// project reads as the projection does, to the log's end.
func project(ctx context.Context, feed *spool.Feed) error {
	const count = 1024
	var brief record.Brief
	for {
		records, err := feed.Next(ctx, count, 1<<20)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, r := range records {
			if _, err := brief.Decode(r.JSON); err != nil {
				return err
			}
		}
		if err := feed.Acknowledge(records[len(records)-1].Position.Index + 1); err != nil {
			return err
		}
		if len(records) < count {
			<-time.After(followEvery)
		}
	}
}
