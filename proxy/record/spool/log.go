// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/tree"
)

// Defaults and bounds of Options.
const (
	DefaultMaxBytes     = 1 << 30
	DefaultSegmentBytes = 16 << 20
	minSegmentBytes     = 4 << 10
	maxSegmentBytes     = 256 << 20
	minSegments         = 4
	// queueBytes bounds what waits for the writer.
	queueBytes = 8 << 20
	// laterDelay bounds how long a record that nothing waits for stays in memory.
	laterDelay = 20 * time.Millisecond
)

// Options say where and how large a log is.
type Options struct {
	// Dir is the log's own directory; it is made where it is missing.
	Dir string
	// MaxBytes bounds the segment files together; DefaultMaxBytes where zero.
	MaxBytes int64
	// SegmentBytes is the size of one segment, at most a quarter of MaxBytes;
	// where zero, DefaultSegmentBytes or what MaxBytes admits.
	SegmentBytes int64
	// Sinks are the names of the sinks, and of the readers (see ReaderName), that
	// must acknowledge a record before its segment may be deleted, from the
	// start on; AddSink adds others. Without a sink nothing is deleted.
	Sinks []string
	// Retention and Hold are in force until SetRetention is called.
	Retention time.Duration
	Hold      string
	// AwaitRemote returns nil once a sink off this machine has acknowledged the
	// record of an index. An event that asks for that (record.Remote) is
	// refused where it is nil.
	AwaitRemote func(ctx context.Context, index int64) error
	// Disk makes segment files; the operating system's where nil.
	Disk Disk
	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// KeyMaxAge is the age from which the log's key is replaced when the log is
	// opened; never where zero.
	KeyMaxAge time.Duration
	// CheckpointDelay is how long a record is at most without a checkpoint that
	// covers it, a tenth of it after the end of a session; a second where zero.
	CheckpointDelay time.Duration
	// Witness says that somebody takes the log's checkpoints to a witness: what
	// the witness has not seen is kept, as for a sink.
	Witness bool
	// Committed, where not nil, is told of each group that was put on disk. It is
	// called by the one goroutine that writes, and must return at once.
	Committed func(records int, took time.Duration)

	// quiet has no checkpoints written; for tests that count records.
	quiet bool
	// step, where not nil, is called at each step of a key rotation.
	step func(name string)
}

func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("record log needs a directory: none given")
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = max(min(DefaultSegmentBytes, o.MaxBytes/8), minSegmentBytes)
	}
	if o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes || o.SegmentBytes*minSegments > o.MaxBytes {
		return fmt.Errorf("record log sizes do not fit: segments of %d bytes in %d: a segment has %d bytes to %d, and %d of them must fit",
			o.SegmentBytes, o.MaxBytes, minSegmentBytes, maxSegmentBytes, minSegments)
	}
	if o.Witness {
		o.Sinks = append(slices.Clone(o.Sinks), witnessReader)
	}
	if o.CheckpointDelay == 0 {
		o.CheckpointDelay = time.Second
	}
	if o.KeyMaxAge < 0 || o.CheckpointDelay < 0 {
		return fmt.Errorf("record log times not usable: greatest age of the key %v, checkpoints after %v: give positive ones", o.KeyMaxAge, o.CheckpointDelay)
	}
	for _, name := range o.Sinks {
		if err := checkSinkName(name); err != nil {
			return err
		}
	}
	if o.Disk == nil {
		o.Disk = osDisk{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// segment is a segment file the log knows of.
type segment struct {
	path  string
	first int64
	// size is the file's size, used what of it holds frames.
	size, used int64
	file       Segment
	// block is what writes must begin and end at a multiple of, in the one
	// segment that is written.
	block int
	// newest is the time of the newest record, once it was asked for; guarded by places.
	newest time.Time
}

// Log is the write-ahead log. It implements record.Log.
type Log struct {
	options  Options
	identity identity
	keyring  keyring
	witness  *Witness
	prefix   string
	lock     *os.File

	// places guards what follows, and is held while a segment is deleted. It
	// is locked before mu.
	places    sync.Mutex
	cursors   map[string]*cursor // of all sinks and readers that count
	retention time.Duration
	hold      string

	// accepted is next, to be read without the lock.
	accepted atomic.Int64
	// durable is the number of records on disk.
	durable atomic.Int64

	mu       sync.Mutex // guards what follows
	queue    []*entry
	queued   int
	waiting  int       // how much in the queue is waited for
	enough   int       // how much of that makes a group
	late     bool      // it has waited for others long enough
	asleep   bool      // the writer waits
	rested   time.Time // when the last group was on disk
	patience time.Duration
	due      bool // what is in the queue has been there for laterDelay
	armed    bool // the timer runs
	next     int64
	tailRoom int64
	spare    *segment
	spareErr error // why there can be no spare now
	full     bool  // a record was refused for spareErr
	occupied int64 // bytes of all segment files
	segments []*segment
	failure  error
	ending   bool // Finish was called
	closing  bool
	sign     bool          // a checkpoint is due
	owed     bool          // one was signed and could not be recorded
	signSet  int           // how signTimer is set
	changed  chan struct{} // closed when room or failure changes
	readers  map[*Reader]struct{}
	sealed   []sealing

	signTimer  *time.Timer
	snapshots  chan snapshot
	stopNotary context.CancelFunc
	notarised  chan struct{} // closed when the notary has ended
	finished   chan struct{} // closed when Finish has ended

	recent    recent
	timer     *time.Timer
	lateTimer *time.Timer
	wake      chan struct{}
	keep      chan struct{}
	done      chan struct{} // closed when the writer has ended
	stop      context.CancelFunc
	group     sync.WaitGroup

	// The writer's own.
	active *segment
	ledger ledger
	// chunk is where groups are made, ends where the last one's frames end in it.
	chunk *chunk
	ends  []int
	// tail is the hash of the last record.
	tail   record.Hash
	growth growth
	pace   pace
	crowd  crowd
	// final says that Finish had been called when the last group was taken.
	final bool
}

var _ record.Log = (*Log)(nil)

// ID is the log's id, made from its key.
func (l *Log) ID() string { return l.identity.id }

// Signer signs as this log, in the form of golang.org/x/mod/sumdb/note, with
// the key that is in force now.
func (l *Log) Signer() note.Signer {
	l.keyring.mu.Lock()
	defer l.keyring.mu.Unlock()
	return l.keyring.signer
}

// Verifier is the text of the key that verifies what Signer signed.
func (l *Log) Verifier() string { return l.Keys().Current() }

// Keys are the log's keys up to now.
func (l *Log) Keys() *tree.Keys {
	l.keyring.mu.Lock()
	defer l.keyring.mu.Unlock()
	return l.keyring.keys.Clone()
}

// Durable is the number of records on disk: the index of the next one.
func (l *Log) Durable() int64 { return l.durable.Load() }

// Err is why the log accepts nothing now: ErrBroken, ErrFull or ErrClosed, or
// nil where it does.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refusal(); err != nil {
		return err
	}
	if l.full {
		return l.spareErr
	}
	return nil
}

// Close finishes the log where that was not done, writes what is queued, and
// ends. It returns the error that broke the log, if one did.
func (l *Log) Close() error {
	finishErr := l.Finish(context.Background())
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		<-l.done
		return nil
	}
	l.closing = true
	l.announce()
	l.mu.Unlock()
	signal(l.wake)
	<-l.done
	l.stop()
	l.timer.Stop()
	l.lateTimer.Stop()
	l.signTimer.Stop()
	l.group.Wait()

	l.mu.Lock()
	readers := l.readers
	l.readers = nil
	failure := l.failure
	l.mu.Unlock()
	for r := range readers {
		signal(r.notify)
	}
	errs := []error{failure, finishErr, l.persistCursors()}
	if l.spare != nil {
		errs = append(errs, l.spare.file.Close(), os.Remove(l.spare.path))
	}
	errs = append(errs, l.active.file.Close(), l.lock.Close())
	return errors.Join(errs...)
}

// refusal is why nothing at all is accepted. The lock is held.
func (l *Log) refusal() error {
	if l.failure != nil {
		return l.failure
	}
	if l.closing {
		return ErrClosed
	}
	return nil
}

// fail breaks the log. It returns the sticky error.
func (l *Log) fail(cause error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure == nil {
		l.failure = fmt.Errorf("%w: %w: directory %q: every operation is refused: check the volume, then restart the proxy, which reads what is really on disk",
			ErrBroken, cause, l.options.Dir)
		l.announce()
	}
	return l.failure
}

// announce wakes whoever waits for room. The lock is held.
func (l *Log) announce() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// watch returns a channel that is closed at the next change. The lock is held.
func (l *Log) watch() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// signal wakes the one receiver of a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
