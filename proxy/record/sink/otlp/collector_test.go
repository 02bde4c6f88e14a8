// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/otlp"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/servers"
	"github.com/doorward/doorward/test/testcert"
)

// collector is a real OpenTelemetry collector with TLS, which asks for a client
// certificate and writes what it accepted to a file.
type collector struct {
	path, dir  string
	config     string
	ports      map[otlp.Protocol]int
	tls        sink.TLS
	process    *proc.Process
	authority  *testcert.CA
	outputPath string
}

const collectorConfig = `
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: %[1]s
        tls: &tls {cert_file: %[3]q, key_file: %[4]q, client_ca_file: %[5]q}
      http:
        endpoint: %[2]s
        tls: *tls
exporters:
  lines: {path: %[6]q}
service:
  telemetry:
    metrics: {level: none}
  pipelines:
    logs: {receivers: [otlp], exporters: [lines]}
`

// startCollector starts a collector that ends with the test.
func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{dir: t.TempDir(), ports: map[otlp.Protocol]int{}}
	var err error
	if c.path, err = servers.Build(t.Context(), "sinks/otelcol"); err != nil {
		t.Fatal(err)
	}
	if c.authority, err = testcert.NewCA("doorward-otelcol"); err != nil {
		t.Fatal(err)
	}
	server := must(t)(c.authority.Issue(testcert.Request{CommonName: "otelcol", IPs: []net.IP{net.ParseIP(proc.Loopback)}}))
	client := must(t)(c.authority.Issue(testcert.Request{CommonName: "doorward"}))
	certificate, key, err := server.Write(c.dir, "server")
	if err != nil {
		t.Fatal(err)
	}
	c.tls = sink.TLS{CA: string(c.authority.PEM), Certificate: client.CertPEM, Key: client.KeyPEM}
	authorities := filepath.Join(c.dir, "ca.pem")
	if err := os.WriteFile(authorities, c.authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []otlp.Protocol{otlp.GRPC, otlp.HTTP} {
		if c.ports[protocol], err = proc.FreePort(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.outputPath = filepath.Join(c.dir, "logs.jsonl")
	c.config = filepath.Join(c.dir, "config.yaml")
	config := fmt.Sprintf(collectorConfig, c.address(otlp.GRPC), c.address(otlp.HTTP), certificate, key, authorities, c.outputPath)
	if err := os.WriteFile(c.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start(t)
	t.Cleanup(func() { c.kill(t) })
	return c
}

func must(t *testing.T) func(testcert.Pair, error) testcert.Pair {
	t.Helper()
	return func(pair testcert.Pair, err error) testcert.Pair {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
}

func (c *collector) address(protocol otlp.Protocol) string {
	return net.JoinHostPort(proc.Loopback, strconv.Itoa(c.ports[protocol]))
}

// start starts the process, and waits until it listens.
func (c *collector) start(t *testing.T) {
	t.Helper()
	var err error
	c.process, err = proc.Start(proc.Command{Path: c.path, Args: []string{"--config", "file:" + c.config}, Output: filepath.Join(c.dir, "otelcol.log")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = c.process.WaitReady(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		for protocol := range c.ports {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.address(protocol))
			if err != nil {
				return err
			}
			_ = conn.Close()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// kill ends the process at once, as a crash would.
func (c *collector) kill(t *testing.T) {
	t.Helper()
	if err := c.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-c.process.Done()
}

func (c *collector) options(protocol otlp.Protocol) otlp.Options {
	return otlp.Options{Endpoint: "https://" + c.address(protocol), Protocol: protocol, TLS: c.tls}
}

// requests are what the collector has accepted from a byte of its file on.
func (c *collector) requests(t *testing.T, from int64) []*logs.LogsData {
	t.Helper()
	data, err := os.ReadFile(c.outputPath)
	if err != nil {
		t.Fatal(err)
	}
	var all []*logs.LogsData
	for line := range bytes.Lines(data[from:]) {
		var request logs.LogsData
		// A line that a kill broke off was not acknowledged.
		if len(bytes.TrimSpace(line)) > 0 && (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line, &request) == nil {
			all = append(all, &request)
		}
	}
	return all
}

// end is the size of the collector's file.
func (c *collector) end(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(c.outputPath)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func logRecords(requests []*logs.LogsData) []*logs.LogRecord {
	var all []*logs.LogRecord
	for _, request := range requests {
		for _, r := range request.GetResourceLogs() {
			for _, s := range r.GetScopeLogs() {
				all = append(all, s.GetLogRecords()...)
			}
		}
	}
	return all
}

func open(t *testing.T, options otlp.Options) *otlp.Sink {
	t.Helper()
	s, err := otlp.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}
