// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/kafka"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testcert"
)

const partitions = 6

// cluster is a broker in this process, with a topic of six partitions.
func cluster(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append(options, kfake.NumBrokers(3), kfake.SeedTopics(partitions, topic))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func plainSink(t *testing.T, c *kfake.Cluster) *kafka.Sink {
	t.Helper()
	return newSink(t, kafka.Options{Brokers: c.ListenAddrs(), TLS: inTheClear})
}

// TestOrderUnderFaults: whatever brokers refuse and whenever, no record of a
// session arrives for the first time before one that comes before it.
func TestOrderUnderFaults(t *testing.T) {
	c := cluster(t)
	refusals := []*kerr.Error{
		kerr.InvalidRecord, kerr.PolicyViolation, kerr.TopicAuthorizationFailed, kerr.CorruptMessage,
		kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.OutOfOrderSequenceNumber,
	}
	s := plainSink(t, c)
	const end = 3000
	failures := 0
	for at := int64(0); at < end; {
		to := min(at+1+rand.Int64N(200), end)
		// About a quarter of the partitions do not take their next batch.
		var faults []*kfake.FaultHandle
		for p := range int32(partitions) {
			if rand.N(4) == 0 {
				faults = append(faults, c.Fault(kfake.Fault{
					Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{p}, Err: refusals[rand.N(len(refusals))],
				}))
			}
		}
		err := s.Write(t.Context(), sinktest.Records(at, to))
		for _, f := range faults {
			f.Remove()
		}
		if err != nil {
			failures++
			continue // the same records come again, maybe in other batches
		}
		at = to
	}
	if diff := cmp.Diff(wantSessions(t, end), sessions(t, received(t, c.ListenAddrs(), partitions))); diff != "" {
		t.Errorf("records by session in order of first arrival: -want, +got:\n%.3000s", diff)
	}
	t.Logf("%d Writes failed", failures)
}

// TestOneBatchForAPartition is what the order rests on: a round reaches each
// partition as one batch, also where the client knows nothing of the topic yet.
func TestOneBatchForAPartition(t *testing.T) {
	c := cluster(t)
	var batches, most atomic.Int32
	c.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		for _, topic := range request.(*kmsg.ProduceRequest).Topics {
			batches.Add(int32(len(topic.Partitions)))
		}
		return nil, nil, false
	})
	s := plainSink(t, c)
	for i := range int64(50) {
		batches.Store(0)
		if err := s.Write(t.Context(), sinktest.Records(100*i, 100*i+100)); err != nil {
			t.Fatal(err)
		}
		most.Store(max(most.Load(), batches.Load()))
	}
	// Three sessions, so at most three partitions.
	if n := most.Load(); n > 3 {
		t.Errorf("%d batches in one round of three sessions", n)
	}
}

// TestTooLarge is checklist 44: a broker that takes less than a batch gets
// smaller ones; a record that it does not take at all is named, not dropped.
func TestTooLarge(t *testing.T) {
	c := cluster(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	s := newSink(t, kafka.Options{Brokers: c.ListenAddrs(), TLS: inTheClear, Compression: "none"})
	const end = 2000
	if err := s.Write(t.Context(), sinktest.Records(0, end)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantSessions(t, end), sessions(t, received(t, c.ListenAddrs(), partitions))); diff != "" {
		t.Errorf("-want, +got:\n%.3000s", diff)
	}
	batch := sinktest.Records(end, end+3)
	event := record.Event{Type: record.SessionEnd, Attributes: []record.Attribute{}}
	for range 8 {
		event.Attributes = append(event.Attributes, record.Attribute{Name: "a", Value: strings.Repeat("x", 4000)})
	}
	batch[1].JSON = record.AppendJSON(nil, batch[1].Position, record.Hash{}, &event)
	err := s.Write(t.Context(), batch)
	if err == nil || !strings.Contains(err.Error(), batch[1].Position.ID()) || !strings.Contains(err.Error(), "max.message.bytes") {
		t.Errorf("Write: %v, want the record's id and the setting", err)
	}
}

// TestLargestRecord: the recommended setting is enough for every record, also
// where nothing can be gained by compression.
func TestLargestRecord(t *testing.T) {
	c := cluster(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "1200000"}))
	s := newSink(t, kafka.Options{Brokers: c.ListenAddrs(), TLS: inTheClear, Compression: "none"})
	batch := sinktest.Records(0, 3)
	event := record.Event{Type: record.SessionEnd}
	for len(batch[1].JSON) < record.MaxSize-8192 {
		event.Attributes = append(event.Attributes, record.Attribute{Name: "a", Value: strings.Repeat("x", 4000)})
		batch[1].JSON = record.AppendJSON(nil, batch[1].Position, record.Hash{}, &event)
	}
	if err := s.Write(t.Context(), batch); err != nil {
		t.Error(err)
	}
}

// certified is the TLS configuration of a broker, and what trusts it.
func certified(t *testing.T) (*tls.Config, sink.TLS) {
	t.Helper()
	ca, err := testcert.NewCA("kafka")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(testcert.Request{IPs: []net.IP{net.ParseIP(proc.Loopback)}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}}, sink.TLS{CA: string(ca.PEM)}
}

// TestLogin is each mechanism, with the right password and a wrong one, which no
// error shows (checklist 47).
func TestLogin(t *testing.T) {
	const user, password = "doorward", "canary-5e1f"
	config, trust := certified(t)
	for _, mechanism := range []string{kafka.Plain, kafka.ScramSHA256, kafka.ScramSHA512} {
		t.Run(mechanism, func(t *testing.T) {
			c := cluster(t, kfake.TLS(config), kfake.EnableSASL(), kfake.Superuser(mechanism, user, password))
			for given, want := range map[string]string{password: "", password + "-wrong": "mechanism, user name and password"} {
				s := newSink(t, kafka.Options{Brokers: c.ListenAddrs(), TLS: trust, SASL: mechanism, Username: user, Password: []byte(given)})
				err := s.Write(t.Context(), sinktest.Records(0, 10))
				switch {
				case want == "" && err != nil:
					t.Errorf("Write: %v", err)
				case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary")):
					t.Errorf("Write: %v, want %q and not the password", err, want)
				}
			}
		})
	}
}

// TestForeignBroker: a broker is verified in full, and gets neither a password
// nor a record otherwise.
func TestForeignBroker(t *testing.T) {
	config, trust := certified(t)
	c := cluster(t, kfake.TLS(config))
	for name, tc := range map[string]struct {
		reason string
		tls    sink.TLS
		want   string
	}{
		"OtherCA":   {reason: "the system's roots do not know it", want: "unknown authority"},
		"OtherName": {reason: "the certificate is for the address", tls: sink.TLS{CA: trust.CA, ServerName: "kafka.example.org"}, want: "kafka.example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newSink(t, kafka.Options{Brokers: c.ListenAddrs(), TLS: tc.tls}).Write(t.Context(), sinktest.Records(0, 1))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Write: %v, want %q: %s", err, tc.want, tc.reason)
			}
		})
	}
}

// TestFaults is what brokers may say; each ends Write with an error, and the
// next Write succeeds.
func TestFaults(t *testing.T) {
	produce := []kmsg.Key{kmsg.Produce}
	for name, tc := range map[string]struct {
		reason string
		fault  kfake.Fault
		want   string
	}{
		"NoRight":       {reason: "the user may not write", fault: kfake.Fault{Keys: produce, Err: kerr.TopicAuthorizationFailed}, want: "let the user write"},
		"NoReplicas":    {reason: "too few replicas are in sync", fault: kfake.Fault{Keys: produce, Err: kerr.NotEnoughReplicas}, want: "min.insync.replicas"},
		"Clock":         {reason: "the broker does not take the time", fault: kfake.Fault{Keys: produce, Err: kerr.InvalidTimestamp}, want: "clocks"},
		"Policy":        {reason: "an error without a remedy names topic and brokers", fault: kfake.Fault{Keys: produce, Err: kerr.PolicyViolation}, want: `topic "records" of Kafka at ["127.0.0.1:`},
		"NotIdempotent": {reason: "the user may not produce with ids", fault: kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, TopLevel: true, Err: kerr.ClusterAuthorizationFailed}, want: "IDEMPOTENT_WRITE"},
		"NoTopic":       {reason: "topics are not made", fault: kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: topic, Err: kerr.UnknownTopicOrPartition}, want: "create the topic"},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t)
			tc.fault.Count = -1
			handle := c.Fault(tc.fault)
			s := plainSink(t, c)
			if err := s.Write(t.Context(), sinktest.Records(0, 10)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Write: %v, want %q: %s", err, tc.want, tc.reason)
			}
			handle.Remove()
			if err := s.Write(t.Context(), sinktest.Records(0, 10)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNoAnswer: a broker that does not answer holds up nobody beyond the
// context's end.
func TestNoAnswer(t *testing.T) {
	for name, key := range map[string]kmsg.Key{"Metadata": kmsg.Metadata, "Produce": kmsg.Produce} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t)
			release := make(chan struct{})
			defer close(release)
			c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				<-release
				return nil, nil, false
			})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			begin := time.Now()
			err := plainSink(t, c).Write(ctx, sinktest.Records(0, 10))
			if err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
				t.Errorf("Write: %v, want the end of the context", err)
			}
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("Write took %s", took)
			}
		})
	}
}

// TestNoBroker: the error names what was dialled.
func TestNoBroker(t *testing.T) {
	port, err := proc.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort(proc.Loopback, strconv.Itoa(port))
	err = newSink(t, kafka.Options{Brokers: []string{address}, TLS: inTheClear}).Write(t.Context(), sinktest.Records(0, 1))
	if err == nil || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Write: %v, want the address and why", err)
	}
}
