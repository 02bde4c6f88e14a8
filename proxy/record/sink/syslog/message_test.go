// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package syslog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

const logID = "00112233445566778899aabbccddeeff"

func encoded(index int64, e record.Event) record.Record {
	p := record.Position{LogID: logID, Index: index}
	e.Time = time.Unix(1700000000, 123456789)
	return record.Record{Position: p, JSON: record.AppendJSON(nil, p, record.Hash{}, &e)}
}

// short stands for the record's JSON.
func short(dst []byte, _ record.Record) ([]byte, error) { return append(dst, "{}"...), nil }

func TestFrame(t *testing.T) {
	for name, tc := range map[string]struct {
		reason     string
		index      int64
		event      record.Event
		enterprise uint32
		facility   string
		want       string
	}{
		"Plain": {
			reason: "no element of our own without an enterprise number",
			event:  record.Event{Type: record.SessionStart, Session: "s1"},
			want:   `<110>1 2023-11-14T22:13:20.123456Z proxy doorward ` + logID + ` SessionStart [meta sequenceId="1"] {}`,
		},
		"Enterprise": {
			reason: "the element is named by the reader's number; its values are escaped",
			event:  record.Event{Type: record.SessionStart, Session: `a"b\c]d`}, index: 41, enterprise: 32473, facility: "local0",
			want: `<134>1 2023-11-14T22:13:20.123456Z proxy doorward ` + logID + ` SessionStart [meta sequenceId="42"][doorward@32473 id="` + logID +
				`/41" log="` + logID + `" index="41" session="a\"b\\c\]d" type="SessionStart"] {}`,
		},
		"Injection": {
			reason: "checklist 48: what a line feed was is visible, and ends nothing", enterprise: 32473,
			event: record.Event{Type: record.SessionEnd, Session: "a\n]<0>1"},
			want: `<110>1 2023-11-14T22:13:20.123456Z proxy doorward ` + logID + ` SessionEnd [meta sequenceId="1"][doorward@32473 id="` + logID +
				`/0" log="` + logID + `" index="0" session="a\\u{a}\]<0>1" type="SessionEnd"] {}`,
		},
		"NoSession": {
			reason: "a record of no session has no such parameter", enterprise: 32473, facility: "0",
			event: record.Event{Type: record.ProxyStart},
			want: `<6>1 2023-11-14T22:13:20.123456Z proxy doorward ` + logID + ` ProxyStart [meta sequenceId="1"][doorward@32473 id="` + logID +
				`/0" log="` + logID + `" index="0" type="ProxyStart"] {}`,
		},
		"SequenceWraps": {
			reason: "sequenceId begins again at 1 after 2147483647", index: 2147483647,
			event: record.Event{Type: record.ProxyStop},
			want:  `<110>1 2023-11-14T22:13:20.123456Z proxy doorward ` + logID + ` ProxyStop [meta sequenceId="1"] {}`,
		},
		"Denied": {
			reason: "a denial is a warning",
			event:  record.Event{Type: record.OperationDecided, Decision: &record.Decision{Effect: policy.Deny}},
			want:   `<108>1 2023-11-14T22:13:20.123456Z proxy doorward ` + logID + ` OperationDecided [meta sequenceId="1"] {}`,
		},
		"Allowed": {
			reason: "what is allowed is not",
			event:  record.Event{Type: record.OperationDecided, Decision: &record.Decision{Effect: policy.Allow}},
			want:   `<110>1 2023-11-14T22:13:20.123456Z proxy doorward ` + logID + ` OperationDecided [meta sequenceId="1"] {}`,
		},
		"NotProven": {
			reason: "a failed authentication is a warning",
			event:  record.Event{Type: record.AuthenticationFailed},
			want:   `<108>1 2023-11-14T22:13:20.123456Z proxy doorward ` + logID + ` AuthenticationFailed [meta sequenceId="1"] {}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(Options{Address: "127.0.0.1:6514", Hostname: "proxy", EnterpriseNumber: tc.enterprise, Facility: tc.facility, Encode: short})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.frame(encoded(tc.index, tc.event)); err != nil {
				t.Fatal(err)
			}
			length, message, _ := strings.Cut(string(s.batch), " ")
			if diff := cmp.Diff(tc.want, message); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
			if len(message) != atoi(t, length) {
				t.Errorf("octet count %q of %d bytes", length, len(message))
			}
		})
	}
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n := 0
	for _, c := range text {
		n = 10*n + int(c-'0')
	}
	return n
}

// TestRefusedRecord is checklist 44: what cannot be sent whole fails and is
// named. It is found before anything is dialled.
func TestRefusedRecord(t *testing.T) {
	errBoom := errors.New("boom")
	for name, tc := range map[string]struct {
		reason string
		text   string
		err    error
		want   string
	}{
		"TooLarge": {reason: "a server would cut it", text: strings.Repeat("x", DefaultMaxMessageBytes), want: "maxMessageSize"},
		"NotUTF8":  {reason: "RFC 5424 section 6.4", text: "\xff", want: "not UTF-8"},
		"Lines":    {reason: "checklist 48: one record, one line", text: "{\n}", want: "control characters"},
		"Encoder":  {reason: "no form, no message", err: errBoom, want: "boom"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(Options{Address: "invalid.invalid:6514", Encode: func(dst []byte, r record.Record) ([]byte, error) {
				if r.Position.Index == 1 {
					return append(dst, tc.text...), tc.err
				}
				return sink.Native(dst, r)
			}})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Write(context.Background(), []record.Record{
				encoded(0, record.Event{Type: record.SessionStart}), encoded(1, record.Event{Type: record.SessionEnd}),
			})
			if err == nil || !strings.Contains(err.Error(), `"`+logID+`/1"`) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Write: %v, want the record's id and %q: %s", err, tc.want, tc.reason)
			}
		})
	}
}

func TestNew(t *testing.T) {
	for name, tc := range map[string]struct {
		reason  string
		options Options
		want    string
	}{
		"NoPort":       {reason: "the port is no matter of guessing", options: Options{Address: "logs.example.org"}, want: "logs.example.org"},
		"NoHost":       {reason: "an empty host would be this one", options: Options{Address: ":6514"}, want: "host and port"},
		"Facility":     {reason: "no such keyword", options: Options{Address: "a:1", Facility: "audits"}, want: `"audits"`},
		"FacilityHigh": {reason: "23 is the last", options: Options{Address: "a:1", Facility: "24"}, want: `"24"`},
		"FacilitySign": {reason: "numbers have one form", options: Options{Address: "a:1", Facility: "+3"}, want: `"+3"`},
		"AppName":      {reason: "a space would shift all fields", options: Options{Address: "a:1", AppName: "door ward"}, want: `"door ward"`},
		"Hostname":     {reason: "RFC 5424 section 6.2.4", options: Options{Address: "a:1", Hostname: strings.Repeat("h", 256)}, want: "at most 255"},
		"Small":        {reason: "every server takes 2048", options: Options{Address: "a:1", MaxMessageBytes: 2047}, want: "2047"},
		"Large":        {reason: "no record needs more in any form", options: Options{Address: "a:1", MaxMessageBytes: 8<<20 + 1}, want: "8388609"},
		"Negative":     {reason: "no size is negative", options: Options{Address: "a:1", MaxMessageBytes: -1}, want: "-1"},
		"CA":           {reason: "a bundle without certificates trusts nobody", options: Options{Address: "a:1", TLS: sink.TLS{CA: "x"}}, want: "no PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(tc.options)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("New: %v, want %q: %s", err, tc.want, tc.reason)
			}
		})
	}
}

// TestOptionsPrinted is checklist 47: no verb prints what is secret.
func TestOptionsPrinted(t *testing.T) {
	o := Options{Address: "a:1", TLS: sink.TLS{Key: []byte("canary")}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb+verb, o, &o); strings.Contains(text, "canary") || strings.Contains(text, "63616e") || strings.Contains(text, "99 97 110") {
			t.Errorf("%s: %s", verb, text)
		}
	}
}
