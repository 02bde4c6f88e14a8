// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/doorward/doorward/proxy/record/sink"
)

// The SASL mechanisms.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
)

// DefaultClientID is what the brokers' own logs call the sink.
const DefaultClientID = "doorward"

// Options say where records go.
type Options struct {
	// Brokers are host:port of some brokers; the others are learned from them.
	Brokers []string
	// Topic must exist; it is not made here.
	Topic string
	// TLS is how brokers are verified and the proxy proves itself.
	TLS sink.TLS
	// SASL is Plain, ScramSHA256, ScramSHA512, or empty for none. Plain is
	// refused without TLS: it would send the password in the clear.
	SASL string
	// Username and Password are for SASL.
	Username string
	Password []byte
	// ClientID is DefaultClientID where empty.
	ClientID string
	// Compression is zstd, lz4, snappy, gzip or none; zstd where empty.
	Compression string
	// Encode makes a record's value; nil means sink.Native.
	Encode sink.Encoder
}

// Format keeps the password, and the key of a client certificate, from being
// printed with any verb.
func (o Options) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "{Brokers:%q Topic:%q SASL:%q Username:%q Password:[redacted]}", o.Brokers, o.Topic, o.SASL, o.Username)
}

// topicName is what brokers take for a topic's name.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// clientOptions checks o and returns it as the client library wants it.
func clientOptions(o Options) ([]kgo.Opt, error) {
	if len(o.Brokers) == 0 {
		return nil, errors.New("no brokers: host and port of at least one are needed")
	}
	for _, address := range o.Brokers {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("broker %q: host and port are needed, such as \"kafka.example.org:9093\"", address)
		}
	}
	if !topicName.MatchString(o.Topic) || o.Topic == "." || o.Topic == ".." {
		return nil, fmt.Errorf("topic %q: 1 to 249 letters, digits, dots, underscores or hyphens are needed", o.Topic)
	}
	config, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(o.Brokers...),
		kgo.ClientID(o.ClientID),
		kgo.DefaultProduceTopic(o.Topic),
		// All replicas in sync, at least the topic's min.insync.replicas. The
		// producer is idempotent, which is this library's standard.
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// Records with one key go to one partition, by the hash that Kafka's own
		// clients use.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		// See round: nothing is sent before a whole round is there.
		kgo.ManualFlushing(),
		kgo.MaxBufferedRecords(maxRoundRecords + 1),
		kgo.ProducerBatchMaxBytes(maxBatchBytes),
		// After a failure the client is thrown away, and so is its sequence.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.RecordRetries(recordRetries),
		// So that within a round's time several brokers can be found dead.
		kgo.DialTimeout(dialTimeout),
		// A retry waits for news of who leads a partition.
		kgo.MetadataMinAge(500 * time.Millisecond),
		kgo.DisableClientMetrics(),
	}
	if config != nil {
		options = append(options, kgo.DialTLSConfig(config))
	}
	compression, err := codec(o.Compression)
	if err != nil {
		return nil, err
	}
	login, err := mechanism(o)
	if err != nil {
		return nil, err
	}
	return append(options, compression, login), nil
}

func codec(name string) (kgo.Opt, error) {
	codecs := map[string]kgo.CompressionCodec{
		"zstd": kgo.ZstdCompression(), "lz4": kgo.Lz4Compression(), "snappy": kgo.SnappyCompression(),
		"gzip": kgo.GzipCompression(), "none": kgo.NoCompression(),
	}
	if name == "" {
		name = "zstd"
	}
	c, ok := codecs[name]
	if !ok {
		return nil, fmt.Errorf("compression %q: zstd, lz4, snappy, gzip or none is needed", name)
	}
	// Brokers older than 2.1 do not know zstd.
	return kgo.ProducerBatchCompression(c, kgo.NoCompression()), nil
}

func mechanism(o Options) (kgo.Opt, error) {
	if o.SASL == "" {
		if o.Username != "" || len(o.Password) > 0 {
			return nil, fmt.Errorf("user name %q without SASL: choose %s, %s or %s", o.Username, ScramSHA512, ScramSHA256, Plain)
		}
		return kgo.SASL(), nil
	}
	if !slices.Contains([]string{Plain, ScramSHA256, ScramSHA512}, o.SASL) {
		return nil, fmt.Errorf("SASL mechanism %q: %s, %s or %s is needed", o.SASL, ScramSHA512, ScramSHA256, Plain)
	}
	if o.Username == "" || len(o.Password) == 0 {
		return nil, fmt.Errorf("SASL mechanism %q needs a user name and a password", o.SASL)
	}
	if o.SASL == Plain && o.TLS.Disabled {
		return nil, fmt.Errorf("SASL mechanism %q without TLS sends the password in the clear: turn TLS on, or use %s", o.SASL, ScramSHA512)
	}
	user, password := o.Username, string(o.Password)
	switch o.SASL {
	case Plain:
		return kgo.SASL(plain.Plain(func(context.Context) (plain.Auth, error) { return plain.Auth{User: user, Pass: password}, nil })), nil
	case ScramSHA256:
		return kgo.SASL(scram.Sha256(func(context.Context) (scram.Auth, error) { return scram.Auth{User: user, Pass: password}, nil })), nil
	default:
		return kgo.SASL(scram.Sha512(func(context.Context) (scram.Auth, error) { return scram.Auth{User: user, Pass: password}, nil })), nil
	}
}
