// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package syslog

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/doorward/doorward/proxy/record"
)

// Limits of RFC 5424 section 6.
const (
	maxHostname = 255
	maxAppName  = 48
	maxProcID   = 128
	maxMsgID    = 32
	// maxSequence is where meta's sequenceId begins again (section 7.3.1).
	maxSequence = 2147483647
	// smallestMaxMessage must be taken by every receiver of RFC 5425.
	smallestMaxMessage = 2048
	// timestamp has six digits of fraction, which is the most there may be.
	timestamp = "2006-01-02T15:04:05.000000Z"
)

// Severities of RFC 5424 section 6.2.1.
const (
	warning       = 4
	informational = 6
)

// facilities are the keywords of RFC 5427; the index is the code.
var facilities = []string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "console", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

func parseFacility(text string) (int, error) {
	if text == "" {
		text = "audit"
	}
	if i := slices.Index(facilities, text); i >= 0 {
		return i, nil
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 0 && n < len(facilities) && strconv.Itoa(n) == text {
		return n, nil
	}
	return 0, fmt.Errorf("facility %q: one of %q, or a number from 0 to %d, is needed", text, facilities, len(facilities)-1)
}

// printable says whether text is a name of RFC 5424's header: PRINTUSASCII.
func printable(text string, most int) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != "" && len(text) <= most
}

// frame appends a record to the batch: the message's length, a space, the
// message (RFC 5425 section 4.3.1, RFC 6587 section 3.4.1).
func (s *Sink) frame(r record.Record) error {
	d, err := s.brief.Decode(r.JSON)
	if err != nil {
		return err
	}
	if s.text, err = s.options.Encode(s.text[:0], r); err != nil {
		return err
	}
	if !utf8.Valid(s.text) {
		return errors.New("its text is not UTF-8")
	}
	if slices.ContainsFunc(s.text, func(c byte) bool { return c < ' ' }) {
		return errors.New("its text has control characters, which servers replace: it is not one line of JSON")
	}
	if s.message, err = s.header(s.message[:0], r.Position, d); err != nil {
		return err
	}
	// No byte order mark: RFC 8259 section 8.1 forbids it before JSON, and the
	// text is RFC 5424's MSG-ANY (section 6.4) without it. It is UTF-8.
	s.message = append(s.message, s.text...)
	if len(s.message) > s.options.MaxMessageBytes {
		return fmt.Errorf("message of %d bytes, the server is said to take %d: raise what the server takes (rsyslog: maxMessageSize), then the sink's greatest message",
			len(s.message), s.options.MaxMessageBytes)
	}
	s.batch = append(append(strconv.AppendInt(s.batch, int64(len(s.message)), 10), ' '), s.message...)
	return nil
}

// header appends a message up to its text (RFC 5424 section 6). The id of the
// log is the PROCID, which changes where numbering begins anew, and the index
// is meta's sequenceId, which counts from 1.
func (s *Sink) header(dst []byte, p record.Position, d record.Document) ([]byte, error) {
	if !printable(p.LogID, maxProcID) || !printable(string(d.Type), maxMsgID) {
		return nil, fmt.Errorf("log %q or type %q is not printable ASCII", p.LogID, d.Type)
	}
	dst = fmt.Appendf(dst, "<%d>1 ", s.facility*8+severity(d))
	dst = d.Time.UTC().AppendFormat(dst, timestamp)
	dst = fmt.Appendf(dst, " %s %s %s %s [meta sequenceId=\"%d\"]", s.options.Hostname, s.options.AppName, p.LogID, d.Type, p.Index%maxSequence+1)
	if s.options.EnterpriseNumber != 0 {
		dst = fmt.Appendf(dst, "[doorward@%d", s.options.EnterpriseNumber)
		dst = appendParam(dst, "id", p.ID())
		dst = appendParam(dst, "log", p.LogID)
		dst = appendParam(dst, "index", strconv.FormatInt(p.Index, 10))
		if d.Session != "" {
			dst = appendParam(dst, "session", d.Session)
		}
		dst = append(appendParam(dst, "type", string(d.Type)), ']')
	}
	return append(dst, ' '), nil
}

// appendParam appends an SD-PARAM; a quote, a backslash and a closing bracket
// are escaped (RFC 5424 section 6.3.3).
func appendParam(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, ' '), name...), '=', '"')
	for i := range len(value) {
		if c := value[i]; c == '"' || c == '\\' || c == ']' {
			dst = append(dst, '\\')
		}
		dst = append(dst, value[i])
	}
	return append(dst, '"')
}

// severity is a warning for what was refused, and for who went round the proxy.
func severity(d record.Document) int {
	switch d.Type {
	case record.AuthenticationFailed, record.SessionRefused, record.SnapshotRefused, record.ForeignLogin, record.SharedCredential:
		return warning
	default:
		if d.Decision != nil && d.Decision.Effect == "Deny" {
			return warning
		}
		return informational
	}
}
