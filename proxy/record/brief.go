// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"math"
	"strconv"
)

// Brief decodes records for those who follow every one of them, such as the
// projection on AuditSession objects. Of the two records that a busy proxy
// writes all the time, operations allowed without an approval and results, it
// reads only what stands at the top level, the effect, the outcome and whether
// something was masked; all others are decoded as Decode does. It is for one
// goroutine.
type Brief struct {
	// The Connection of the last record, most often that of the next.
	raw        []byte
	connection *ConnectionDocument
	// The log of the last record, and what its records begin with.
	log  string
	head []byte
	// decided is how the last record of an operation ended.
	decided []byte
	// sessions are those of the last records.
	sessions map[string]*briefSession
}

// briefSession is what all records of a session share.
type briefSession struct {
	name       string
	connection *ConnectionDocument
	revision   int64
	// raw is the JSON from behind the session to before the operation's number.
	raw []byte
}

// briefSessions bounds the number of sessions that a Brief knows.
const briefSessions = 512

// Decode reads a record. What it returns is shared: never modify it.
func (b *Brief) Decode(data []byte) (Document, error) {
	d, plain := b.plain(data)
	if plain {
		return d, nil
	}
	return Decode(data)
}

// plain reads a record in the very form that AppendJSON gives it. False stands
// for any other form, and for the records that are not plain. A quote within a
// JSON string has a backslash before it, so what begins with one that has none
// stands outside of strings.
func (b *Brief) plain(data []byte) (Document, bool) {
	if len(data) > MaxSize {
		return Document{}, false
	}
	rest, ok := b.first(data)
	if !ok {
		return Document{}, false
	}
	d := Document{Schema: SchemaVersion, Log: b.log}
	var index uint64
	if index, rest, ok = cutNumber(rest); !ok || index > math.MaxInt64 {
		return Document{}, false
	}
	d.Index = int64(index)
	const previous, at = `,"previous":"`, `","time":"`
	if len(rest) < len(previous)+hashSize+len(at)+TimeSize || string(rest[:len(previous)]) != previous {
		return Document{}, false
	}
	rest = rest[len(previous)+hashSize:]
	if string(rest[:len(at)]) != at {
		return Document{}, false
	}
	if d.Time, ok = readTime(rest[len(at) : len(at)+TimeSize]); !ok {
		return Document{}, false
	}
	rest = rest[len(at)+TimeSize:]
	const decided, result = `","type":"` + string(OperationDecided) + `"`, `","type":"` + string(OperationResult) + `"`
	switch {
	case bytes.HasPrefix(rest, []byte(decided)):
		d.Type, rest = OperationDecided, rest[len(decided):]
	case bytes.HasPrefix(rest, []byte(result)):
		d.Type, rest = OperationResult, rest[len(result):]
	default:
		return Document{}, false
	}
	s, rest := b.session(rest)
	if s == nil {
		return Document{}, false
	}
	d.Session, d.Connection, d.Revision = s.name, s.connection, s.revision
	if d.OperationID, rest, ok = cutNumber(rest); !ok {
		return Document{}, false
	}
	if d.Type == OperationResult {
		d.Result = plainResult(rest)
		return d, d.Result != nil
	}
	d.Decision = b.decision(rest)
	return d, d.Decision != nil
}

// first passes over what stands before the index.
func (b *Brief) first(data []byte) ([]byte, bool) {
	if b.log != "" && bytes.HasPrefix(data, b.head) {
		return data[len(b.head):], true
	}
	const first = `{"schema":"` + SchemaVersion + `","log":`
	if !bytes.HasPrefix(data, []byte(first)) {
		return nil, false
	}
	end := valueEnd(data[len(first):])
	log, ok := plainString(data[len(first) : len(first)+end])
	if !ok || log == "" {
		return nil, false
	}
	head := []byte(HeadPrefix(log))
	if !bytes.HasPrefix(data, head) {
		return nil, false
	}
	b.log, b.head = log, head
	return data[len(head):], true
}

// session passes over all that stands between the type and the operation's
// number, and returns what it says; nil where it is of another form.
func (b *Brief) session(data []byte) (*briefSession, []byte) {
	const first, last = `,"session":"`, `,"operationID":`
	if !bytes.HasPrefix(data, []byte(first)) {
		return nil, nil
	}
	data = data[len(first):]
	end := bytes.IndexByte(data, '"')
	if end <= 0 || bytes.IndexByte(data[:end], '\\') >= 0 {
		return nil, nil
	}
	name, rest := data[:end], data[end+1:]
	known := b.sessions[string(name)]
	if known != nil && bytes.HasPrefix(rest, known.raw) {
		return known, rest[len(known.raw):]
	}
	length := bytes.Index(rest, []byte(last))
	if length < 0 {
		return nil, nil
	}
	length += len(last)
	s := &briefSession{name: string(name)}
	var err error
	whole := append(append([]byte{'{'}, bytes.TrimPrefix(rest[:length-len(last)], []byte(","))...), '}')
	if !members(whole, func(name, value []byte) bool {
		switch string(name) {
		case "connection":
			s.connection = b.connectionOf(value)
			return s.connection != nil
		case "revision":
			s.revision, err = strconv.ParseInt(string(value), 10, 64)
			return err == nil
		case "actor", "clientAddress":
			return true
		}
		return false // what later versions add
	}) {
		return nil, nil
	}
	if len(b.sessions) >= briefSessions {
		clear(b.sessions)
	}
	if b.sessions == nil {
		b.sessions = map[string]*briefSession{}
	}
	s.raw = bytes.Clone(rest[:length])
	b.sessions[s.name] = s
	return s, rest[length:]
}

// cutNumber reads the digits that data begins with.
func cutNumber(data []byte) (n uint64, rest []byte, ok bool) {
	end := 0
	for end < len(data) && data[end] >= '0' && data[end] <= '9' {
		n = n*10 + uint64(data[end]-'0')
		end++
	}
	return n, data[end:], end > 0 && end < 20 && (end == 1 || data[0] != '0')
}

func (b *Brief) connectionOf(value []byte) *ConnectionDocument {
	if b.connection != nil && bytes.Equal(value, b.raw) {
		return b.connection
	}
	c := &ConnectionDocument{}
	ok := members(value, func(name, value []byte) bool {
		text, ok := plainString(value)
		switch string(name) {
		case "namespace":
			c.Namespace = text
		case "name":
			c.Name = text
		case "uid":
			c.UID = text
		default:
			return false
		}
		return ok
	})
	if !ok {
		return nil
	}
	b.raw, b.connection = append(b.raw[:0], value...), c
	return c
}

// allowed is the decision of all plain records.
var allowed = &DecisionDocument{Effect: "Allow"}

// decision reads an operation and a decision that end a record.
func (b *Brief) decision(rest []byte) *DecisionDocument {
	const operation, decision, allow = `,"operation":{`, `,"decision":`, `{"effect":"Allow"`
	if bytes.HasPrefix(rest, []byte(operation)) {
		// An operation has no member of that name.
		at := bytes.Index(rest, []byte(decision))
		if at < 0 {
			return nil
		}
		rest = rest[at:]
	}
	if bytes.Equal(rest, b.decided) {
		return allowed
	}
	if !bytes.HasPrefix(rest, []byte(decision+allow)) || !ends(rest[len(decision):]) {
		return nil // a denial's reason, an approval, or what later versions add
	}
	b.decided = append(b.decided[:0], rest...)
	return allowed
}

// ends says whether data is one object and the end of that around it.
func ends(data []byte) bool {
	return len(data) > 0 && valueEnd(data) == len(data)-1 && data[len(data)-1] == '}'
}

// The results that differ in nothing a Brief tells.
var (
	succeeded       = &ResultDocument{Outcome: "Succeeded"}
	succeededMasked = &ResultDocument{Outcome: "Succeeded", MaskedFields: []string{""}}
)

// plainResult reads a result that ends a record.
func plainResult(rest []byte) *ResultDocument {
	const result, success = `,"result":`, `{"outcome":"Succeeded",`
	if !bytes.HasPrefix(rest, []byte(result+success)) {
		return nil
	}
	rest = rest[len(result):]
	if !ends(rest) {
		return nil
	}
	if bytes.Contains(rest, []byte(`,"maskedFields":[`)) {
		return succeededMasked
	}
	return succeeded
}

// plainString reads a JSON string that holds no escapes.
func plainString(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return "", false
	}
	return string(value[1 : len(value)-1]), true
}

// members calls a function for each member of a JSON object without white space
// between its tokens, as all records are written. It returns false where the
// function does, or where the object is of another form.
func members(object []byte, member func(name, value []byte) bool) bool {
	if len(object) < 2 || object[0] != '{' || object[len(object)-1] != '}' {
		return false
	}
	rest := object[1 : len(object)-1]
	for len(rest) > 0 {
		end := valueEnd(rest)
		if end <= 2 || rest[0] != '"' || end >= len(rest) || rest[end] != ':' {
			return false
		}
		name := rest[1 : end-1]
		rest = rest[end+1:]
		end = valueEnd(rest)
		if end == 0 || !member(name, rest[:end]) {
			return false
		}
		if end == len(rest) {
			return true
		}
		if rest[end] != ',' {
			return false
		}
		rest = rest[end+1:]
	}
	return len(object) == 2
}

// valueEnd is the length of the JSON value that data begins with; 0 where it
// does not end.
func valueEnd(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			length := stringEnd(data[i:])
			if length == 0 {
				return 0
			}
			i += length - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i
			}
		case ',', ':':
			if depth == 0 {
				return i
			}
		}
	}
	if depth == 0 {
		return len(data)
	}
	return 0
}

// stringEnd is the length of the JSON string that data begins with; 0 where it
// does not end.
func stringEnd(data []byte) int {
	for end := 1; ; {
		next := bytes.IndexByte(data[end:], '"')
		if next < 0 {
			return 0
		}
		end += next + 1
		// A quote after an odd number of backslashes belongs to the text.
		slashes := 0
		for at := end - 2; at > 0 && data[at] == '\\'; at-- {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
	}
}
