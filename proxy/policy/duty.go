// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"
)

// Mask is one masking rule that applies to a caller: what is masked, and how.
// It has fields, detectors or both.
type Mask struct {
	Policy string `json:"policy"`
	Name   string `json:"name"`
	// Fields are globs over the protocol's fields.
	Fields []string `json:"fields,omitempty"`
	// Detect names detectors of content, which look into every text that is not
	// masked as a field.
	Detect []string `json:"detect,omitempty"`
	Method Method   `json:"method"`
	// Derived says what becomes of an answer's value that depends on a masked
	// field without being it: MaskDerived masks it whole, anything else refuses
	// the operation.
	Derived string `json:"derived,omitempty"`
	// Predicates says whether masked fields may decide which rows come, and in
	// which order: only AllowPredicates permits it.
	Predicates string `json:"predicates,omitempty"`
	// Exempt are callers of whom the mask hides nothing. The Engine leaves such masks
	// out.
	Exempt []Subject `json:"exempt,omitempty"`
}

// The words of Mask.Derived and Mask.Predicates that permit something. Every
// other value, also none, denies.
const (
	MaskDerived     = "Mask"
	AllowPredicates = "Allow"
)

// The methods of a mask.
const (
	// Redact replaces a text by a fixed one, and any other value by null.
	Redact = "Redact"
	// Null replaces a value by null.
	Null = "Null"
	// KeepLast leaves the last characters of a text readable.
	KeepLast = "KeepLast"
	// Hash replaces a value by a keyed hash of it: equal values stay equal on one
	// Connection, and on no other.
	Hash = "Hash"
	// Digits replaces each digit by a keyed one and leaves the rest, so that the
	// value keeps its length and format.
	Digits = "Digits"
)

// Methods are all of them.
func Methods() []string { return []string{Redact, Null, KeepLast, Hash, Digits} }

// Detectors are the names that Mask.Detect may hold.
func Detectors() []string {
	return []string{"Email", "PaymentCard", "IBAN", "Phone", "SSN", "JWT", "CloudKey", "PrivateKey", "IPAddress"}
}

// Method says how a field is masked.
type Method struct {
	// Type is Redact, Null, KeepLast, Hash or Digits.
	Type string `json:"type"`
	// KeepLast is the number of trailing characters left readable.
	KeepLast int32 `json:"keepLast,omitempty"`
}

// Keyed says that the method cannot work without the Connection's key.
func (m Method) Keyed() bool { return m.Type == Hash || m.Type == Digits }

// Limits bound what a caller may get, and his sessions. Zero means no bound.
type Limits struct {
	// Policy is where the limits stand; the Engine fills it in.
	Policy            RuleRef `json:"-"`
	RowsPerStatement  int64   `json:"rowsPerStatement,omitempty"`
	BytesPerStatement int64   `json:"bytesPerStatement,omitempty"`
	// SessionSeconds and IdleSeconds are how long a session may last, and do nothing.
	SessionSeconds int64 `json:"sessionSeconds,omitempty"`
	IdleSeconds    int64 `json:"idleSeconds,omitempty"`
	// ConcurrentSessions is how many the caller may have at one proxy.
	ConcurrentSessions int64 `json:"concurrentSessions,omitempty"`
	// OutliveTokenSeconds is for how long a session may go on after the caller's token
	// has expired; EndsWithToken forbids what other policies allow. Zero says nothing.
	OutliveTokenSeconds int64    `json:"outliveTokenSeconds,omitempty"`
	Windows             []Window `json:"windows,omitempty"`
}

// EndsWithToken is the Limits.OutliveTokenSeconds of a policy that lets its callers
// through and does not let their sessions outlive their tokens, where another does.
const EndsWithToken = -1

// Window bounds what one caller gets within any span of Seconds, over all of
// his sessions on one proxy.
type Window struct {
	Seconds    int32 `json:"seconds"`
	Rows       int64 `json:"rows,omitempty"`
	Bytes      int64 `json:"bytes,omitempty"`
	Operations int64 `json:"operations,omitempty"`
}

// TargetRole is the role at the target that one policy asks for.
type TargetRole struct {
	Policy RuleRef
	Role   string
}

// ConflictError says that policies which apply to one caller name different
// roles at the target.
type ConflictError struct{ Roles []TargetRole }

// Error names every policy with its role.
func (e *ConflictError) Error() string {
	parts := make([]string, 0, len(e.Roles))
	for _, r := range e.Roles {
		kind := "AccessPolicy"
		if r.Policy.Cluster {
			kind = "ClusterAccessPolicy"
		}
		parts = append(parts, fmt.Sprintf("%s %q asks for %q", kind, r.Policy.Policy, r.Role))
	}
	return "policies name different roles at the target: " + strings.Join(parts, ", ")
}
