// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kafka is the sink that produces records to a topic of Apache Kafka,
// or of another broker with its protocol.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

const (
	// roundBytes and maxRoundRecords bound a round; a larger record has a round
	// of its own. Kafka's standard message.max.bytes is 1048588.
	roundBytes      = 768 << 10
	maxRoundRecords = 10000
	// maxBatchBytes holds any round, so that each partition gets it as one batch;
	// OCSF events of several MiB too.
	maxBatchBytes = 16 << 20
	// recommendedBytes is enough for every record in its native form.
	recommendedBytes = 1200000
	// recordRetries is how often a broker that says "later" is asked again,
	// within about a second; then the sink's status tells, and the Shipper asks.
	recordRetries = 2
	// roundTimeout bounds a round, for brokers that say nothing or are not there.
	// It is not the client's own delivery timeout, which counts from a record's
	// time: that may be long ago.
	roundTimeout = 20 * time.Second
	dialTimeout  = 5 * time.Second
	// overhead is more than the bytes of a record besides its value.
	overhead = 512
)

// Names of the headers that each message carries.
const (
	HeaderRecordID = "doorward-record-id"
	HeaderLog      = "doorward-log"
	HeaderIndex    = "doorward-index"
	HeaderType     = "doorward-type"
)

// Sink produces to one topic.
type Sink struct {
	options Options
	client  []kgo.Opt
	brief   record.Brief
	// round bounds rounds in bytes: less than roundBytes after a broker has
	// found a batch too large.
	round int
	// open is the client in use; nil before the first Write and after a failure.
	open  *kgo.Client
	watch *watch
}

// New makes a sink. Brokers are first dialled by Write.
func New(options Options) (*Sink, error) {
	if options.ClientID == "" {
		options.ClientID = DefaultClientID
	}
	if options.Encode == nil {
		options.Encode = sink.Native
	}
	client, err := clientOptions(options)
	if err == nil {
		err = kgo.ValidateOpts(client...)
	}
	if err != nil {
		return nil, fmt.Errorf("kafka sink not usable: %w", err)
	}
	return &Sink{options: options, client: client, round: roundBytes}, nil
}

// Close ends the connections.
func (s *Sink) Close() error {
	if s.open != nil {
		s.open.Close()
		s.open = nil
	}
	return nil
}

// Write implements sink.Sink. The brokers have a record when all replicas in
// sync have it.
//
// A session's records have one key, so one partition. A batch of Kafka is taken
// as a whole or not at all. When one is not taken, the client fails what it
// holds for that partition, but it would go on with what it is given later. So
// records go in rounds, each of which is one batch for a partition, and the next
// round goes only when this one is acknowledged: no record is there before one
// of its session that comes before it.
func (s *Sink) Write(ctx context.Context, batch []record.Record) error {
	if ctx.Err() != nil {
		return fmt.Errorf("cannot produce to topic %q of Kafka at %q: %w", s.options.Topic, s.options.Brokers, context.Cause(ctx))
	}
	if len(batch) == 0 {
		return nil
	}
	messages, err := s.messages(batch)
	if err != nil {
		return err
	}
	for len(messages) > 0 {
		n := s.nextRound(messages)
		err := s.produce(ctx, messages[:n])
		if err == nil {
			messages = messages[n:]
			continue
		}
		_ = s.Close()
		if !errors.Is(err, kerr.MessageTooLarge) {
			return s.failure(ctx, err)
		}
		if n == 1 {
			return fmt.Errorf("record %q of %d bytes is larger than topic %q of Kafka at %q takes: set the topic's max.message.bytes (or the brokers' message.max.bytes) to %d or more",
				id(messages[0]), len(messages[0].Value), s.options.Topic, s.options.Brokers, max(recommendedBytes, size(messages[:1])))
		}
		s.round = size(messages[:n]) / 2
	}
	return nil
}

// messages are the records as Kafka gets them.
func (s *Sink) messages(batch []record.Record) ([]*kgo.Record, error) {
	messages := make([]*kgo.Record, 0, len(batch))
	for _, r := range batch {
		d, err := s.brief.Decode(r.JSON)
		if err != nil {
			return nil, fmt.Errorf("record %q cannot be produced to topic %q of Kafka: %w", r.Position.ID(), s.options.Topic, err)
		}
		// Memory of its own: the client may still be writing when Write returns.
		value, err := s.options.Encode(nil, r)
		if err != nil {
			return nil, fmt.Errorf("record %q cannot be produced to topic %q of Kafka: %w", r.Position.ID(), s.options.Topic, err)
		}
		key := d.Session
		if key == "" {
			key = r.Position.LogID
		}
		messages = append(messages, &kgo.Record{
			Key: []byte(key), Value: value, Timestamp: d.Time,
			Headers: []kgo.RecordHeader{
				{Key: HeaderRecordID, Value: []byte(r.Position.ID())},
				{Key: HeaderLog, Value: []byte(r.Position.LogID)},
				{Key: HeaderIndex, Value: strconv.AppendInt(nil, r.Position.Index, 10)},
				{Key: HeaderType, Value: []byte(d.Type)},
			},
		})
	}
	return messages, nil
}

func id(m *kgo.Record) string { return string(m.Headers[0].Value) }

// nextRound is the number of messages of the next round, at least one.
func (s *Sink) nextRound(messages []*kgo.Record) int {
	total := 0
	for i, m := range messages {
		total += len(m.Key) + len(m.Value) + overhead
		if i > 0 && (total > s.round || i >= maxRoundRecords) {
			return i
		}
	}
	return len(messages)
}

func size(messages []*kgo.Record) int {
	total := 0
	for _, m := range messages {
		total += len(m.Key) + len(m.Value) + overhead
	}
	return total
}

// produce sends one round and waits until all of it is acknowledged. After an
// error the client must not be used again.
func (s *Sink) produce(ctx context.Context, messages []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return err
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	var failed error
	s.watch.expect(len(messages))
	group.Add(len(messages))
	for i, m := range messages {
		if s.watch.stopped() {
			group.Add(i - len(messages))
			break
		}
		m.Context = ctx // not that of a round before
		s.open.Produce(ctx, m, func(_ *kgo.Record, err error) {
			defer group.Done()
			if err == nil {
				return
			}
			s.watch.stop()
			mu.Lock()
			defer mu.Unlock()
			// What is too large is what the caller can do something about.
			if failed == nil || errors.Is(err, kerr.MessageTooLarge) {
				failed = err
			}
		})
	}
	// The round is sent when all its records are in their partitions' batches.
	err := s.watch.partitioned(ctx)
	if err == nil {
		err = s.open.Flush(ctx)
	}
	if err != nil {
		s.open.Close() // ends all promises
	}
	group.Wait()
	if failed != nil && !errors.Is(failed, kgo.ErrClientClosed) {
		return failed
	}
	return err
}

// connect makes a client where there is none, and asks a broker for its
// metadata: a wrong password or certificate is told at once.
func (s *Sink) connect(ctx context.Context) error {
	if s.open != nil {
		return nil
	}
	s.watch = &watch{}
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.WithHooks(s.watch)}, s.client...)...)
	if err != nil {
		return err
	}
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return err
	}
	s.open = client
	return nil
}

// failure says what went wrong. Brokers had a hand in the text.
func (s *Sink) failure(ctx context.Context, err error) error {
	text := err.Error()
	if last := s.watch.lastError(); last != nil && !strings.Contains(text, last.Error()) {
		text += ": last connection: " + last.Error()
	}
	if strings.Contains(text, "server signature mismatch") {
		text = "the broker did not prove that it knows the password: is it the right one?"
	}
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return &sink.Failure{
		Text: fmt.Sprintf("cannot produce to topic %q of Kafka at %q: %s%s",
			s.options.Topic, s.options.Brokers, sink.Foreign(text, string(s.options.Password)), remedy(err)),
		Cause: err,
	}
}

// remedy is what to do about the errors whose own words do not tell.
func remedy(err error) string {
	for _, known := range []struct {
		is   error
		text string
	}{
		{kerr.UnknownTopicOrPartition, "create the topic, or let the user describe it"},
		{kerr.TopicAuthorizationFailed, "let the user write to and describe the topic"},
		{kerr.ClusterAuthorizationFailed, "let the user IDEMPOTENT_WRITE on the cluster"},
		{kerr.SaslAuthenticationFailed, "check mechanism, user name and password"},
		{kerr.UnsupportedSaslMechanism, "choose a mechanism that the brokers have"},
		{io.EOF, "the broker closed the connection: check TLS, and the SASL mechanism, user name and password"},
		{kerr.NotEnoughReplicas, "bring back brokers: fewer replicas are in sync than the topic's min.insync.replicas"},
		{kerr.InvalidTimestamp, "compare the clocks, and see the topic's message.timestamp settings"},
	} {
		if errors.Is(err, known.is) {
			return ": " + known.text
		}
	}
	return ""
}
