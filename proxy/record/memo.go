// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// The bounds of what a Memo keeps: operations, operations
// seen before, and bytes of text of each.
const (
	memoOperations = 4
	memoSeen       = 16
	memoText       = 2 << 10
)

// Memo remembers how parts of a session's events were encoded: who acted, and
// operations that come again. AppendBody takes a part from it only where the
// event has the very values that the part was made of, so it changes what a
// record costs and never what it says. It keeps copies of all it compares with,
// but for the Actor, which must stay as it is while the Memo is in use. The
// zero value is ready; it is safe for concurrent use.
type Memo struct {
	who        atomic.Pointer[whoPart]
	operations [memoOperations]atomic.Pointer[operationPart]
	turn       atomic.Uint32
	// seen has a bit for each operation that came before, most likely, so that
	// what comes only once is not kept.
	seen atomic.Uint64
}

// whoPart is what all records of a session share.
type whoPart struct {
	session, client string
	connection      Connection
	revision        int64
	actor           *identity.Principal
	json            []byte
}

func (w *whoPart) is(e *Event) bool {
	return w.actor == e.Actor && w.revision == e.Revision && w.session == e.Session && w.client == e.ClientAddress && w.connection == e.Connection
}

// appendWho appends session, connection, revision, actor and client address.
func appendWho(dst []byte, e *Event) []byte {
	m := e.Memo
	if m == nil {
		return encodeWho(dst, e)
	}
	if w := m.who.Load(); w != nil && w.is(e) {
		return append(dst, w.json...)
	}
	start := len(dst)
	dst = encodeWho(dst, e)
	m.who.Store(&whoPart{
		session: e.Session, client: e.ClientAddress, connection: e.Connection, revision: e.Revision, actor: e.Actor, json: bytes.Clone(dst[start:]),
	})
	return dst
}

// operationPart is an operation and the decision on it.
type operationPart struct {
	op       Operation
	decision Decision
	// head goes up to the statement, middle from behind the digest to the
	// properties, decided is the decision.
	head, middle, decided []byte
}

func (p *operationPart) is(op *Operation, d *Decision) bool {
	return p.op.Kind == op.Kind && p.op.Statement == op.Statement && p.op.Normalized == op.Normalized && p.op.Protocol == op.Protocol &&
		slices.Equal(p.op.Accesses, op.Accesses) && slices.Equal(p.op.Properties, op.Properties) && slices.Equal(p.op.Fields, op.Fields) && (p.op.Fields == nil) == (op.Fields == nil) &&
		p.decision.Effect == d.Effect && p.decision.Message == d.Message && slices.Equal(p.decision.Rules, d.Rules) && slices.Equal(p.decision.Masks, d.Masks)
}

// appendRemembered appends the operation and the decision of an event from its
// Memo; false where they are not there.
func appendRemembered(dst []byte, e *Event) ([]byte, bool) {
	if e.Memo == nil || e.Operation.Digest == "" {
		return dst, false
	}
	for i := range e.Memo.operations {
		p := e.Memo.operations[i].Load()
		if p == nil || !p.is(e.Operation, e.Decision) {
			continue
		}
		dst = append(dst, p.head...)
		dst = appendMember(dst, `,"digest":`, e.Operation.Digest)
		dst = append(dst, p.middle...)
		dst = append(appendParameters(dst, e.Operation), '}')
		return append(dst, p.decided...), true
	}
	return dst, false
}

var memoSeed = maphash.MakeSeed()

// remember keeps how an operation and the decision on it are encoded, where
// they came before. Every operation kept has a protocol, which comes first.
func (m *Memo) remember(op *Operation, d *Decision) {
	if op.Protocol == "" || op.Digest == "" || len(op.Statement)+len(op.Normalized) > memoText {
		return
	}
	bit := uint64(1) << (maphash.String(memoSeed, op.Statement) % 64)
	if seen := m.seen.Load(); seen&bit == 0 {
		if bits.OnesCount64(seen) > memoSeen {
			seen = 0
		}
		m.seen.Store(seen | bit)
		return
	}
	p := &operationPart{
		op: Operation{
			Protocol: strings.Clone(op.Protocol), Kind: strings.Clone(op.Kind), Statement: strings.Clone(op.Statement),
			Normalized: strings.Clone(op.Normalized), Accesses: slices.Clone(op.Accesses), Properties: slices.Clone(op.Properties),
			Fields: slices.Clone(op.Fields),
		},
		decision: Decision{Effect: d.Effect, Message: d.Message, Rules: slices.Clone(d.Rules), Masks: slices.Clone(d.Masks)},
	}
	text := appendOperationHead([]byte(`,"operation":`), op)
	text[len(`,"operation":`)] = '{'
	head := len(text)
	text = appendOperationMiddle(text, op)
	middle := len(text)
	text = appendDecision(append(text, `,"decision":`...), d)
	if len(text) > 2*memoText {
		return
	}
	text = slices.Clip(bytes.Clone(text))
	p.head, p.middle, p.decided = text[:head:head], text[head:middle:middle], text[middle:]
	m.operations[(m.turn.Add(1)-1)%memoOperations].Store(p)
}

// memorable says whether an event's operation and decision are worth a place in its Memo,
// which compares nothing else than those have.
func (e *Event) memorable() bool {
	return e.Memo != nil && e.Type == OperationDecided && e.Operation != nil && e.Decision != nil && e.Decision.Effect == policy.Allow && e.Decision.Audit == nil && e.Decision.Cause == "" && e.Approval == nil
}
