// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The messages of a client (PostgreSQL manual, section "Message Formats").
const (
	msgBind         = 'B'
	msgClose        = 'C'
	msgCopyData     = 'd'
	msgCopyDone     = 'c'
	msgCopyFail     = 'f'
	msgDescribe     = 'D'
	msgExecute      = 'E'
	msgFlush        = 'H'
	msgFunctionCall = 'F'
	msgParse        = 'P'
	msgPassword     = 'p' // also GSS and SASL responses
	msgQuery        = 'Q'
	msgSync         = 'S'
	msgTerminate    = 'X'
)

// errMalformed says that a message's body is not what its type demands.
var errMalformed = errors.New("malformed message")

// body reads the fields of a message; the first fault sticks. Reading is as
// strict as the server's: what the proxy decides on is what the server runs.
type body struct {
	rest []byte
	err  error
}

func (b *body) fail(what string) {
	if b.err == nil {
		b.err = fmt.Errorf("%w: %s", errMalformed, what)
	}
	b.rest = nil
}

func (b *body) bytes(n int, what string) []byte {
	if n < 0 || n > len(b.rest) {
		b.fail(what)
		return nil
	}
	out := b.rest[:n]
	b.rest = b.rest[n:]
	return out
}

func (b *body) text(what string) string {
	end := bytes.IndexByte(b.rest, 0)
	if end < 0 {
		b.fail(what + " has no end")
		return ""
	}
	out := string(b.rest[:end])
	b.rest = b.rest[end+1:]
	return out
}

func (b *body) byte(what string) byte {
	if one := b.bytes(1, what); one != nil {
		return one[0]
	}
	return 0
}

func (b *body) int16(what string) int {
	if two := b.bytes(2, what); two != nil {
		return int(int16(binary.BigEndian.Uint16(two))) //nolint:gosec // the field is signed
	}
	return 0
}

func (b *body) int32(what string) int {
	if four := b.bytes(4, what); four != nil {
		return int(int32(binary.BigEndian.Uint32(four))) //nolint:gosec // the field is signed
	}
	return 0
}

// count is a number of things: the server takes it as unsigned, so that there
// may be 65,535 parameters.
func (b *body) count(what string) int {
	return int(uint16(b.int16(what))) //nolint:gosec // the same 16 bits
}

// done says whether the body was well formed and has no bytes left.
func (b *body) done() error {
	if b.err == nil && len(b.rest) > 0 {
		b.fail(fmt.Sprintf("%d bytes too many", len(b.rest)))
	}
	return b.err
}

// parseMessage is Parse: a statement gets a name.
type parseMessage struct {
	name, text string
	// types is the raw list of parameter types, its count included.
	types []byte
}

func decodeParse(src []byte) (m parseMessage, err error) {
	b := body{rest: src}
	m.name = b.text("statement name")
	m.text = b.text("statement")
	m.types = b.rest
	b.bytes(4*b.count("number of parameter types"), "parameter types")
	return m, b.done()
}

// bindMessage is Bind: a statement with parameters becomes a portal.
type bindMessage struct {
	portal, statement string
	parameters        int
	// values are the raw formats and values of the parameters.
	values []byte
}

func decodeBind(src []byte) (m bindMessage, err error) {
	b := body{rest: src}
	m.portal = b.text("portal name")
	m.statement = b.text("statement name")
	start := b.rest
	formats := b.count("number of parameter formats")
	b.bytes(2*formats, "parameter formats")
	m.parameters = b.count("number of parameters")
	if b.err == nil && formats > 1 && formats != m.parameters {
		b.fail("the numbers of parameters and of their formats differ")
	}
	for range m.parameters {
		// Only -1 stands for NULL.
		if n := b.int32("parameter length"); n != -1 {
			b.bytes(n, "parameter")
		}
	}
	if b.err == nil {
		m.values = start[:len(start)-len(b.rest)]
	}
	b.bytes(2*b.count("number of result formats"), "result formats")
	return m, b.done()
}

// targetMessage is Describe or Close: of a statement ('S') or a portal ('P').
type targetMessage struct {
	kind byte
	name string
}

func decodeTarget(src []byte) (m targetMessage, err error) {
	b := body{rest: src}
	m.kind = b.byte("kind")
	m.name = b.text("name")
	if b.err == nil && m.kind != 'S' && m.kind != 'P' {
		b.fail("kind is neither statement nor portal")
	}
	return m, b.done()
}

// executeMessage is Execute: a portal runs.
type executeMessage struct{ portal string }

func decodeExecute(src []byte) (m executeMessage, err error) {
	b := body{rest: src}
	m.portal = b.text("portal name")
	b.int32("row limit")
	return m, b.done()
}

func decodeText(src []byte, what string) (string, error) {
	b := body{rest: src}
	text := b.text(what)
	return text, b.done()
}

// decodeEmpty is for messages that have no body.
func decodeEmpty(src []byte) error {
	b := body{rest: src}
	return b.done()
}
