// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"strconv"
	"time"
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
	log        string
}

// Decode reads a record. What it returns is shared: never modify it.
func (b *Brief) Decode(data []byte) (Document, error) {
	d, plain := b.plain(data)
	if plain {
		return d, nil
	}
	return Decode(data)
}

// plain reads a record in the very form that AppendJSON gives it. False stands
// for any other form, and for the records that are not plain.
func (b *Brief) plain(data []byte) (Document, bool) {
	const first = `{"schema":"` + SchemaVersion + `",`
	if len(data) > MaxSize || !bytes.HasPrefix(data, []byte(first)) {
		return Document{}, false
	}
	var err error
	d := Document{Schema: SchemaVersion, Index: -1}
	ok := members(data, func(name, value []byte) bool {
		switch string(name) {
		case "schema", "previous", "actor", "clientAddress", "operation":
			return true
		case "log":
			if len(value) < 2 || string(value[1:len(value)-1]) != b.log {
				var ok bool
				if b.log, ok = plainString(value); !ok {
					return false
				}
			}
			d.Log = b.log
			return d.Log != ""
		case "index":
			d.Index, err = strconv.ParseInt(string(value), 10, 64)
			return err == nil && d.Index >= 0
		case "time":
			text, ok := plainString(value)
			if !ok {
				return false
			}
			d.Time, err = time.Parse(time.RFC3339Nano, text)
			return err == nil
		case "type":
			switch string(value) {
			case `"` + string(OperationDecided) + `"`:
				d.Type = OperationDecided
			case `"` + string(OperationResult) + `"`:
				d.Type = OperationResult
			}
			return d.Type != ""
		case "session":
			text, ok := plainString(value)
			d.Session = text
			return ok
		case "connection":
			d.Connection = b.connectionOf(value)
			return d.Connection != nil
		case "revision":
			d.Revision, err = strconv.ParseInt(string(value), 10, 64)
			return err == nil
		case "operationID":
			d.OperationID, err = strconv.ParseUint(string(value), 10, 64)
			return err == nil
		case "decision":
			d.Decision = plainDecision(value)
			return d.Decision != nil
		case "result":
			d.Result = plainResult(value)
			return d.Result != nil
		}
		return false // a denial's reason, an approval, or what later versions add
	})
	complete := d.Log != "" && d.Index >= 0 && (d.Type == OperationDecided && d.Decision != nil || d.Type == OperationResult && d.Result != nil)
	return d, ok && complete
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

func plainDecision(value []byte) *DecisionDocument {
	if bytes.HasPrefix(value, []byte(`{"effect":"Allow",`)) || string(value) == `{"effect":"Allow"}` {
		return allowed
	}
	return nil
}

// The results that differ in nothing a Brief tells.
var (
	succeeded       = &ResultDocument{Outcome: "Succeeded"}
	succeededMasked = &ResultDocument{Outcome: "Succeeded", MaskedFields: []string{""}}
)

func plainResult(value []byte) *ResultDocument {
	if !bytes.HasPrefix(value, []byte(`{"outcome":"Succeeded",`)) {
		return nil
	}
	result := succeeded
	if !members(value, func(name, _ []byte) bool {
		if string(name) == "maskedFields" {
			result = succeededMasked
		}
		return true
	}) {
		return nil
	}
	return result
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
