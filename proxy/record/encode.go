// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// MaxSize is the greatest size of a record's JSON in bytes.
const MaxSize = 1 << 20

// ErrTooLarge is wrapped by the errors for events whose JSON exceeds MaxSize.
var ErrTooLarge = errors.New("record too large")

// AppendJSON appends the JSON form of an event at a position, one line without
// its line feed; previous is the LeafHash of the record before it. The form is
// described in docs/record.md.
func AppendJSON(dst []byte, position Position, previous Hash, event *Event) []byte {
	dst = AppendHead(dst, HeadPrefix(position.LogID), position.Index, previous, event.Time)
	return AppendBody(dst, event)
}

// Hash is a hash of the log's tree (RFC 6962, section 2.1).
type Hash = tlog.Hash

// LeafHash is the hash of one record's JSON as a leaf of the log's tree.
func LeafHash(json []byte) Hash { return tlog.RecordHash(json) }

// LeafPrefix is the byte that stands before a leaf when it is hashed (RFC 6962,
// section 2.1).
const LeafPrefix = 0

// PrefixedLeafHash is the LeafHash of a record's JSON that has LeafPrefix in
// front of it, so that it need not be copied.
func PrefixedLeafHash(prefixed []byte) Hash { return sha256.Sum256(prefixed) }

// HeadPrefix is what all records of one log begin with, up to their index.
func HeadPrefix(logID string) string {
	return `{"schema":"` + SchemaVersion + `","log":` + string(appendString(nil, logID, false)) + `,"index":`
}

// AppendHead appends the part of a record that is known only when its place in
// the log is: prefix comes from HeadPrefix, previous is the LeafHash of the
// record before it, zero for the first.
func AppendHead(dst []byte, prefix string, index int64, previous Hash, at time.Time) []byte {
	dst = append(dst, prefix...)
	dst = strconv.AppendInt(dst, index, 10)
	dst = append(dst, `,"previous":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, previous[:])
	dst = append(dst, `","time":"`...)
	dst = appendTime(dst, at)
	return append(dst, '"')
}

// hashSize is the number of bytes of a hash in base64.
const hashSize = 44

// HeadSize is the number of bytes AppendHead appends.
func HeadSize(prefix string, index int64) int {
	digits := 1
	for n := index; n >= 10; n /= 10 {
		digits++
	}
	return len(prefix) + digits + len(`,"previous":"`) + hashSize + len(`","time":"`) + TimeSize + 1
}

// AppendBody appends all that follows the head, so that it can be made before
// the record has its place.
func AppendBody(dst []byte, e *Event) []byte {
	dst = appendMember(dst, `,"type":`, string(e.Type))
	dst = appendWho(dst, e)
	if e.OperationID != 0 {
		dst = strconv.AppendUint(append(dst, `,"operationID":`...), e.OperationID, 10)
	}
	dst = appendWhat(dst, e)
	if e.Approval != nil {
		dst = appendApproval(append(dst, `,"approval":`...), e.Approval)
	}
	if e.Result != nil {
		dst = appendResult(append(dst, `,"result":`...), e.Result)
	}
	dst = appendMember(dst, `,"reason":`, e.Reason)
	dst = appendMember(dst, `,"reasonCode":`, string(e.ReasonCode))
	if len(e.Attributes) > 0 {
		dst = append(dst, `,"attributes":[`...)
		for i, a := range e.Attributes {
			dst = separate(dst, i)
			o := len(dst)
			dst = appendMember(dst, `,"name":`, a.Name)
			value := a.Value
			if value != "" && secretName(a.Name) {
				value = redacted
			}
			dst = appendMember(dst, `,"value":`, value)
			dst = closeObject(dst, o)
		}
		dst = append(dst, ']')
	}
	if e.Recording != nil {
		dst = appendRecording(append(dst, `,"recording":`...), e.Recording)
	}
	if r := e.Read; r != nil {
		dst = append(dst, `,"read":`...)
		o := len(dst)
		dst = appendMember(dst, `,"session":`, r.Session)
		dst = strconv.AppendInt(append(dst, `,"firstRecord":`...), r.FirstRecord, 10)
		dst = appendInt(dst, `,"unrecorded":`, r.Unrecorded)
		if r.Follow {
			dst = append(dst, `,"follow":true`...)
		}
		dst = closeObject(dst, o)
	}
	if c := e.Checkpoint; c != nil {
		dst = strconv.AppendInt(append(dst, `,"checkpoint":{"size":`...), c.Size, 10)
		dst = appendExact(append(dst, `,"note":`...), c.Note)
		if c.Key != "" {
			dst = appendExact(append(dst, `,"key":`...), c.Key)
		}
		dst = append(dst, '}')
	}
	if r := e.Rotation; r != nil {
		dst = appendExact(append(dst, `,"rotation":{"key":`...), r.Key)
		dst = appendExact(append(dst, `,"note":`...), r.Note)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// encodeWho encodes what appendWho appends.
func encodeWho(dst []byte, e *Event) []byte {
	dst = appendMember(dst, `,"session":`, e.Session)
	if e.Connection != (Connection{}) {
		dst = append(dst, `,"connection":`...)
		o := len(dst)
		dst = appendMember(dst, `,"namespace":`, e.Connection.Namespace)
		dst = appendMember(dst, `,"name":`, e.Connection.Name)
		dst = appendMember(dst, `,"uid":`, e.Connection.UID)
		dst = closeObject(dst, o)
	}
	dst = appendInt(dst, `,"revision":`, e.Revision)
	if e.Actor != nil {
		dst = appendActor(append(dst, `,"actor":`...), e.Actor)
	}
	dst = appendMember(dst, `,"clientAddress":`, e.ClientAddress)
	return dst
}

// appendWhat appends operation and decision.
func appendWhat(dst []byte, e *Event) []byte {
	memorable := e.memorable()
	if memorable {
		var done bool
		if dst, done = appendRemembered(dst, e); done {
			return dst
		}
	}
	if e.Operation != nil {
		dst = appendOperation(append(dst, `,"operation":`...), e.Operation)
	}
	if e.Decision != nil {
		dst = appendDecision(append(dst, `,"decision":`...), e.Decision)
	}
	if memorable {
		e.Memo.remember(e.Operation, e.Decision)
	}
	return dst
}

// Check says whether a record of the given size may be written.
func Check(size int) error {
	if size > MaxSize {
		return fmt.Errorf("%w: %d bytes, at most %d: the operation names too much to be recorded", ErrTooLarge, size, MaxSize)
	}
	return nil
}

func appendActor(dst []byte, p *identity.Principal) []byte {
	o := len(dst)
	dst = appendMember(dst, `,"provider":`, p.Provider)
	dst = appendMember(dst, `,"issuer":`, p.Issuer)
	dst = appendMember(dst, `,"subject":`, p.Subject)
	dst = appendMember(dst, `,"userName":`, p.UserName)
	dst = appendMember(dst, `,"kubernetesUser":`, p.KubernetesUser)
	dst = appendList(dst, `,"groups":[`, p.Groups)
	dst = appendMember(dst, `,"kind":`, string(p.Kind))
	dst = appendClaims(dst, p.Claims)
	dst = appendList(dst, `,"absentClaims":[`, p.AbsentClaims)
	if len(p.Delegation) > 0 {
		dst = append(dst, `,"delegation":[`...)
		for i, a := range p.Delegation {
			dst = separate(dst, i)
			o := len(dst)
			dst = appendMember(dst, `,"issuer":`, a.Issuer)
			dst = appendMember(dst, `,"subject":`, a.Subject)
			dst = closeObject(dst, o)
		}
		dst = append(dst, ']')
	}
	dst = appendMember(dst, `,"method":`, p.Method)
	dst = appendMember(dst, `,"credential":`, p.Credential.ID)
	dst = appendMember(dst, `,"provenBy":`, p.Credential.ProvenBy)
	dst = appendMember(dst, `,"proofID":`, p.ProofID)
	if !p.ExpiresAt.IsZero() {
		dst = appendTime(append(dst, `,"expiresAt":"`...), p.ExpiresAt)
		dst = append(dst, '"')
	}
	return closeObject(dst, o)
}

func appendDecision(dst []byte, d *Decision) []byte {
	o := len(dst)
	dst = appendMember(dst, `,"effect":`, string(d.Effect))
	dst = appendRules(dst, d.Rules)
	dst = appendMember(dst, `,"message":`, d.Message)
	dst = appendMember(dst, `,"cause":`, d.Cause)
	dst = appendList(dst, `,"masks":[`, d.Masks)
	if d.Audit != nil {
		dst = append(dst, `,"audit":`...)
		o := len(dst)
		dst = appendMember(dst, `,"effect":`, string(d.Audit.Effect))
		dst = appendRules(dst, d.Audit.Rules)
		dst = appendMember(dst, `,"cause":`, d.Audit.Cause)
		dst = appendList(dst, `,"masks":[`, d.Audit.Masks)
		dst = closeObject(dst, o)
	}
	return closeObject(dst, o)
}

func appendRules(dst []byte, rules []policy.RuleRef) []byte {
	if len(rules) == 0 {
		return dst
	}
	dst = append(dst, `,"rules":[`...)
	for i := range rules {
		r := &rules[i]
		dst = separate(dst, i)
		o := len(dst)
		if r.Cluster {
			dst = append(dst, `,"cluster":true`...)
		}
		dst = appendMember(dst, `,"policy":`, r.Policy)
		dst = appendMember(dst, `,"uid":`, r.UID)
		dst = appendInt(dst, `,"generation":`, r.Generation)
		dst = appendMember(dst, `,"rule":`, r.Rule)
		dst = closeObject(dst, o)
	}
	return append(dst, ']')
}

// appendClaims appends claims; one without values, as of an empty list, is told from
// one that is not there.
func appendClaims(dst []byte, claims []identity.Claim) []byte {
	if len(claims) == 0 {
		return dst
	}
	dst = append(dst, `,"claims":[`...)
	for i := range claims {
		dst = separate(dst, i)
		o := len(dst)
		dst = appendMember(dst, `,"name":`, claims[i].Name)
		dst = appendList(dst, `,"values":[`, claims[i].Values)
		dst = closeObject(dst, o)
	}
	return append(dst, ']')
}

func appendResult(dst []byte, r *Result) []byte {
	o := len(dst)
	dst = appendMember(dst, `,"outcome":`, r.Outcome)
	dst = strconv.AppendInt(append(dst, `,"rows":`...), r.Rows, 10)
	dst = strconv.AppendInt(append(dst, `,"bytes":`...), r.Bytes, 10)
	dst = appendInt(dst, `,"durationNanoseconds":`, int64(r.Duration))
	dst = appendMember(dst, `,"errorCode":`, r.ErrorCode)
	dst = appendList(dst, `,"maskedFields":[`, r.MaskedFields)
	dst = appendInt(dst, `,"maskedValues":`, r.MaskedValues)
	dst = appendTransferred(dst, r)
	if a := r.Response; a != nil {
		dst = append(dst, `,"response":`...)
		o := len(dst)
		dst = appendMember(dst, `,"digest":`, a.Digest)
		dst = strconv.AppendInt(append(dst, `,"bytes":`...), a.Bytes, 10)
		shown := a.Text[:wholeRunes(a.Text, ResponseLimit)]
		if a.Text != "" {
			dst = appendString(append(dst, `,"text":`...), redact(shown), true)
		}
		if gap := a.GapBytes + int64(len(a.Text)-len(shown)); a.GapRows != 0 || gap != 0 {
			dst = strconv.AppendInt(append(dst, `,"gap":{"rows":`...), a.GapRows, 10)
			dst = strconv.AppendInt(append(dst, `,"bytes":`...), gap, 10)
			dst = append(dst, '}')
		}
		dst = closeObject(dst, o)
	}
	return closeObject(dst, o)
}

func appendRecording(dst []byte, r *Recording) []byte {
	o := len(dst)
	dst = appendMember(dst, `,"id":`, r.ID)
	dst = appendMember(dst, `,"format":`, r.Format)
	dst = strconv.AppendInt(append(dst, `,"sequence":`...), r.Sequence, 10)
	dst = appendMember(dst, `,"digest":`, r.Digest)
	if r.Data != "" {
		dst = appendExact(append(dst, `,"data":`...), r.Data)
	}
	return closeObject(dst, o)
}

// appendText appends a statement, with its full length where it was cut.
func appendText(dst []byte, name, truncated, s string) []byte {
	if s == "" {
		return dst
	}
	if len(s) <= StatementLimit && simple(s) {
		return appendSimple(append(dst, name...), s)
	}
	shown := s[:wholeRunes(s, StatementLimit)]
	dst = appendString(append(dst, name...), redact(shown), true)
	if len(shown) < len(s) {
		dst = appendInt(dst, truncated, int64(len(s)))
	}
	return dst
}

// appendMember appends a member of one line; nothing where s is empty.
func appendMember(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	return appendLine(append(dst, name...), s)
}

// appendLine appends a string of one line; one that is too long ends in a mark
// that holds its length in bytes.
func appendLine(dst []byte, s string) []byte {
	if len(s) <= lineLimit && simple(s) {
		return appendSimple(dst, s)
	}
	whole := len(s)
	s = s[:wholeRunes(s, lineLimit)]
	dst = appendString(dst, redact(s), false)
	if len(s) < whole {
		dst = append(dst[:len(dst)-1], " [cut: "...)
		dst = strconv.AppendInt(dst, int64(whole), 10)
		dst = append(dst, ` bytes in all]"`...)
	}
	return dst
}

func appendList(dst []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, name...)
	for i, s := range list {
		dst = appendLine(separate(dst, i), s)
	}
	return append(dst, ']')
}

// appendInt appends a number member; nothing where it is zero.
func appendInt(dst []byte, name string, n int64) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, name...), n, 10)
}

// closeObject turns the members appended since start, each of which begins
// with a comma, into an object.
func closeObject(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{'
	return append(dst, '}')
}

func separate(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}
