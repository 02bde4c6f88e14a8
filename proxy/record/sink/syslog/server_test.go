// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package syslog_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
	"github.com/doorward/doorward/proxy/record/sink/syslog"
)

// TestFileCannotBeWritten is checklist 44: rsyslog, as documented, accepts
// nothing that it cannot write.
func TestFileCannotBeWritten(t *testing.T) {
	server := startRsyslog(t, replacement{"records.jsonl", "there/records.jsonl"})
	there := filepath.Join(server.dir, "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil { // a file where the directory should be
		t.Fatal(err)
	}
	out := server.sink(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := out.Write(ctx, sinktest.Records(0, 3)); err == nil {
		t.Error("records were accepted that the server could not write")
	}
	if err := os.Remove(there); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(there, 0o700); err != nil {
		t.Fatal(err)
	}
	// The server tries its file again in its own time, and may end connections
	// until then; the Shipper comes again as this does.
	patient, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	for err := out.Write(patient, sinktest.Records(0, 3)); err != nil; err = out.Write(patient, sinktest.Records(0, 3)) {
		if patient.Err() != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(there, "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range sinktest.Records(0, 3) {
		if !bytes.Contains(data, append(r.JSON, '\n')) {
			t.Errorf("record %q is not there", r.Position.ID())
		}
	}
}

// TestProgress: what the server has of a batch that failed is not sent again.
func TestProgress(t *testing.T) {
	server := startRsyslog(t, noSync)
	out := server.sink(t)
	batch := sinktest.Records(0, 1000)
	good := batch[900].JSON
	batch[900].JSON = []byte("no record")
	if err := out.Write(t.Context(), batch); err == nil || !strings.Contains(err.Error(), batch[900].Position.ID()) {
		t.Fatalf("Write: %v, want the record's id", err)
	}
	batch[900].JSON = good
	if err := out.Write(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if n := len(server.received(t)); n != len(batch) {
		t.Errorf("%d records received of %d", n, len(batch))
	}
}

// TestGnuTLS: rsyslog's GnuTLS driver ends connections as a killed server does.
func TestGnuTLS(t *testing.T) {
	err := startRsyslog(t, noSync, gnutls).sink(t).Write(t.Context(), sinktest.Records(0, 1))
	if err == nil || !strings.Contains(err.Error(), "not gtls") {
		t.Errorf("Write: %v, want what to do", err)
	}
}

// withText is a sink whose every message has the given text.
func (s *rsyslog) withText(t *testing.T, text string, most int) *syslog.Sink {
	t.Helper()
	out, err := syslog.New(syslog.Options{
		Address: s.address, TLS: s.tls, MaxMessageBytes: most, Hostname: "proxy", EnterpriseNumber: 32473,
		Encode: func(dst []byte, _ record.Record) ([]byte, error) { return append(dst, text...), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestLargestMessage: what the documented configuration takes, and that the
// sink's standard setting is what rsyslog takes without being configured.
func TestLargestMessage(t *testing.T) {
	unset := replacement{`maxMessageSize="1100k"`, ""}
	for name, tc := range map[string]struct {
		reason string
		with   []replacement
		most   int
		whole  bool
	}{
		"Documented": {reason: "the documented size is enough for every record", most: syslog.LargestMessageBytes, whole: true},
		"Standard":   {reason: "rsyslog takes it where it is not configured", with: []replacement{unset}, whole: true},
		"TooMuch":    {reason: "rsyslog cuts without a word what is larger", with: []replacement{unset}, most: syslog.DefaultMaxMessageBytes + 1, whole: false},
	} {
		t.Run(name, func(t *testing.T) {
			server := startRsyslog(t, append(tc.with, noSync)...)
			// The largest text that the sink lets through.
			text := strings.Repeat("x", max(tc.most, syslog.DefaultMaxMessageBytes)-len(`<110>1 2023-11-14T22:13:20.000000Z proxy doorward `)-
				len(sinktest.LogID)-len(` SessionEnd [meta sequenceId="1"][doorward@32473 id="/0" log="" index="0" session="0" type="SessionEnd"] `)-2*len(sinktest.LogID))
			if err := server.withText(t, text+"x", tc.most).Write(t.Context(), sinktest.Records(0, 1)); err == nil {
				t.Error("a message beyond the setting was sent")
			}
			if err := server.withText(t, text, tc.most).Write(t.Context(), sinktest.Records(0, 1)); err != nil {
				t.Fatal(err)
			}
			got := server.received(t)
			if whole := len(got) == 1 && string(got[0]) == text; whole != tc.whole {
				t.Errorf("%s: %d lines, the first of %d bytes of %d; whole is %v", tc.reason, len(got), len(got[0]), len(text), whole)
			}
		})
	}
}

// TestFields: what rsyslog reads from the header.
func TestFields(t *testing.T) {
	server := startRsyslog(t, noSync, replacement{
		`property(name="msg")`,
		`property(name="pri-text") constant(value="|") property(name="timereported" dateFormat="rfc3339") constant(value="|") property(name="hostname")
		constant(value="|") property(name="app-name") constant(value="|") property(name="procid") constant(value="|")
		property(name="msgid") constant(value="|") property(name="structured-data") constant(value="|") property(name="msg")`,
	})
	if err := server.withText(t, "\u00fcml\u00e4ut", 0).Write(t.Context(), sinktest.Records(7, 8)); err != nil {
		t.Fatal(err)
	}
	want := "audit.info|2023-11-14T22:13:20.000000Z|proxy|doorward|" + sinktest.LogID + `|SessionEnd|[meta sequenceId="8"]` +
		`[doorward@32473 id="` + sinktest.LogID + `/7" log="` + sinktest.LogID + `" index="7" session="1" type="SessionEnd"]|` + "\u00fcml\u00e4ut"
	if diff := cmp.Diff(want, string(bytes.Join(server.received(t), nil))); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

// TestClientCertificate: the server asks for one, and says what it thinks of
// its absence.
func TestClientCertificate(t *testing.T) {
	server := startRsyslog(t, noSync)
	out, err := syslog.New(syslog.Options{Address: server.address, TLS: sink.TLS{CA: server.tls.CA}})
	if err != nil {
		t.Fatal(err)
	}
	err = out.Write(t.Context(), sinktest.Records(0, 1))
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("Write: %v, want the server's reason", err)
	}
}
