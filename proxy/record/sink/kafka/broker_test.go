// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/kafka"
	"github.com/doorward/doorward/test/proc"
)

const topic = "records"

// TestMain is also the broker of the tests that kill it: this same program,
// with a folder and a port in its environment.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DOORWARD_TEST_BROKER"); dir != "" {
		if err := serveBroker(dir, os.Getenv("DOORWARD_TEST_PORT"), os.Getenv("DOORWARD_TEST_PARTITIONS")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func serveBroker(dir, port, partitions string) error {
	p, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(partitions)
	if err != nil {
		return err
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(p), kfake.SeedTopics(int32(n), topic), kfake.DataDir(dir), kfake.SyncWrites())
	if err != nil {
		return err
	}
	defer cluster.Close()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
	return nil
}

// broker is a process that keeps its topic on disk and syncs every write.
type broker struct {
	dir, address string
	partitions   int
	process      *proc.Process
}

func startBroker(t *testing.T, partitions int) *broker {
	t.Helper()
	port, err := proc.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{dir: t.TempDir(), address: net.JoinHostPort(proc.Loopback, strconv.Itoa(port)), partitions: partitions}
	b.start(t)
	t.Cleanup(func() { b.kill(t) })
	return b
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(b.address)
	b.process, err = proc.Start(proc.Command{
		Name: "broker", Path: self, Output: filepath.Join(b.dir, "output"),
		Env: append(os.Environ(), "DOORWARD_TEST_BROKER="+filepath.Join(b.dir, "data"), "DOORWARD_TEST_PORT="+port,
			"DOORWARD_TEST_PARTITIONS="+strconv.Itoa(b.partitions)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = b.process.WaitReady(ctx, 10*time.Millisecond, func(ctx context.Context) error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.address)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *broker) kill(t *testing.T) {
	t.Helper()
	if b.process == nil {
		return
	}
	if err := b.process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-b.process.Done()
	b.process = nil
}

func newSink(t *testing.T, o kafka.Options) *kafka.Sink {
	t.Helper()
	if o.Topic == "" {
		o.Topic = topic
	}
	s, err := kafka.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var inTheClear = sink.TLS{Disabled: true}

// received are all messages of the topic, partition by partition.
func received(t *testing.T, addresses []string, partitions int, options ...kgo.Opt) [][]*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	from := map[int32]kgo.Offset{}
	for p := range int32(partitions) {
		from[p] = kgo.NewOffset().At(0)
	}
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(addresses...), kgo.DisableClientMetrics(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	missing := 0
	for p := range int32(partitions) {
		missing += endOffset(ctx, t, client, p)
	}
	all := make([][]*kgo.Record, partitions)
	for missing > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			all[r.Partition] = append(all[r.Partition], r)
			missing--
		})
	}
	return all
}

// endOffset is the number of messages of a partition.
func endOffset(ctx context.Context, t *testing.T, client *kgo.Client, p int32) int {
	t.Helper()
	partition := kmsg.NewListOffsetsRequestTopicPartition()
	partition.Partition, partition.Timestamp = p, -1
	request := kmsg.NewPtrListOffsetsRequest()
	request.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{partition}}}
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	return int(response.Topics[0].Partitions[0].Offset)
}

func values(partition []*kgo.Record) [][]byte {
	var all [][]byte
	for _, r := range partition {
		all = append(all, r.Value)
	}
	return all
}
