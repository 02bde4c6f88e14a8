// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// serviceName is the service that all records are from.
const serviceName = "doorward-proxy"

// entry is one record on its way.
type entry struct {
	position record.Position
	log      *logs.LogRecord
	size     int
}

func newEntries(batch []record.Record, encode sink.Encoder) ([]entry, error) {
	now := time.Now()
	entries := make([]entry, 0, len(batch))
	for _, r := range batch {
		body, err := encode(nil, r)
		if err == nil && !utf8.Valid(body) {
			err = fmt.Errorf("%w: not UTF-8", record.ErrMalformed)
		}
		if err != nil {
			return nil, fmt.Errorf("record cannot be encoded: %q: %w", r.Position.ID(), err)
		}
		l := newLogRecord(r, string(body), now)
		entries = append(entries, entry{r.Position, l, proto.Size(l)})
	}
	return entries, nil
}

// newLogRecord makes the log record of a record. What the record's JSON does
// not tell, since it is of a form that this version does not know, is left
// out: its bytes are delivered all the same.
func newLogRecord(r record.Record, body string, now time.Time) *logs.LogRecord {
	d, err := record.Decode(r.JSON)
	if err != nil {
		d = record.Document{}
	}
	l := &logs.LogRecord{
		ObservedTimeUnixNano: nanoseconds(now),
		TimeUnixNano:         nanoseconds(d.Time),
		SeverityNumber:       logs.SeverityNumber_SEVERITY_NUMBER_INFO,
		SeverityText:         "INFO",
		EventName:            string(d.Type),
		Body:                 stringValue(body),
		Attributes: []*common.KeyValue{
			text("doorward.record.id", r.Position.ID()),
			text("doorward.log", r.Position.LogID),
			number("doorward.index", r.Position.Index),
		},
	}
	if warns(&d) {
		l.SeverityNumber, l.SeverityText = logs.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
	}
	add := func(name, value string) {
		if value != "" {
			l.Attributes = append(l.Attributes, text(name, value))
		}
	}
	add("doorward.type", string(d.Type))
	add("doorward.session", d.Session)
	if c := d.Connection; c != nil && c.Name != "" {
		add("doorward.connection", c.Namespace+"/"+c.Name)
	}
	if d.Actor != nil {
		add("doorward.user", d.Actor.UserName)
	}
	if d.Decision != nil {
		add("doorward.decision", d.Decision.Effect)
	}
	if a, err := netip.ParseAddrPort(d.ClientAddress); err == nil {
		add("client.address", a.Addr().Unmap().String())
		l.Attributes = append(l.Attributes, number("client.port", int64(a.Port())))
	}
	return l
}

// warns says whether somebody was turned away or went round the proxy, or the
// proxy was given a configuration that it does not accept.
func warns(d *record.Document) bool {
	switch d.Type {
	case record.AuthenticationFailed, record.SessionRefused, record.SnapshotRefused, record.ForeignLogin, record.SharedCredential:
		return true
	case record.OperationDecided:
		return d.Decision == nil || d.Decision.Effect == string(policy.Deny)
	case record.SessionEnd:
		return d.ReasonCode == record.EndAdvisory
	default:
		return false
	}
}

// size is the number of bytes of a request, nearly.
func size(entries []entry) int {
	n := 256
	for _, e := range entries {
		n += e.size + 8
	}
	return n
}

// span names the records of a request by their ids.
func span(entries []entry) string {
	first, last := entries[0].position, entries[len(entries)-1].position
	if first == last {
		return fmt.Sprintf("%q", first.ID())
	}
	return fmt.Sprintf("%q to %q", first.ID(), last.ID())
}

// marshal makes an ExportLogsServiceRequest. A LogsData has the same form (see
// their definitions in opentelemetry-proto), and comes without the code of a
// gateway that the package of the request needs.
func marshal(entries []entry) ([]byte, error) {
	data := &logs.LogsData{}
	var scope *logs.ScopeLogs
	log := ""
	for _, e := range entries {
		if scope == nil || e.position.LogID != log {
			log = e.position.LogID
			scope = &logs.ScopeLogs{Scope: &common.InstrumentationScope{Name: record.SchemaVersion}}
			data.ResourceLogs = append(data.ResourceLogs, &logs.ResourceLogs{
				Resource: &resource.Resource{Attributes: []*common.KeyValue{
					text("service.name", serviceName), text("service.instance.id", log),
				}},
				ScopeLogs: []*logs.ScopeLogs{scope},
			})
		}
		scope.LogRecords = append(scope.LogRecords, e.log)
	}
	return proto.Marshal(data)
}

// nanoseconds since 1970; zero stands for unknown.
func nanoseconds(t time.Time) uint64 {
	if t.Year() < 1970 || t.Year() > 2261 {
		return 0
	}
	return uint64(t.UnixNano())
}

func stringValue(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func text(name, value string) *common.KeyValue {
	return &common.KeyValue{Key: name, Value: stringValue(value)}
}

func number(name string, value int64) *common.KeyValue {
	return &common.KeyValue{Key: name, Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: value}}}
}
