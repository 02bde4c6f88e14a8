// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/base64"

	"github.com/doorward/doorward/proxy/policy"
)

// Append appends the masked form of a value to dst, or says that the value
// becomes NULL and leaves dst as it is. The result is a value of the same kind in
// the same format; what a method cannot keep in its kind becomes NULL, as does
// what is no value of its kind. A caller asks only for values that are not NULL.
//
// It allocates nothing where dst has room. Value and the room behind dst must
// not overlap. A result may be longer than the declared length of its column:
// that length is the target's, and clients read the length of each value.
func (r Rules) Append(dst []byte, m policy.Method, k Kind, binary bool, value []byte) (out []byte, null bool) {
	var key *keyed
	if r.compiled != nil {
		key = r.keyed
	}
	switch {
	case m.Type == policy.Null:
		return dst, true
	case k == JSON || k == JSONB:
		return key.json(dst, m, k == JSONB && binary, value), false
	case k == Text || k == Char:
		if k == Char {
			value = trimBlanks(value)
		}
		return key.text(dst, m, value), false
	case key == nil || !m.Keyed():
		return dst, true
	case k.width() > 0:
		return key.integer(dst, m, k, binary, value)
	case k == Numeric:
		return key.numeric(dst, m, binary, value)
	case k == UUID:
		return key.uuid(dst, binary, value)
	default:
		return dst, true
	}
}

// text masks characters. A nil keyed has no key.
func (k *keyed) text(dst []byte, m policy.Method, value []byte) []byte {
	switch m.Type {
	case policy.KeepLast:
		return appendKeepLast(dst, value, int(m.KeepLast))
	case policy.Hash:
		if k != nil {
			return k.token(dst, value)
		}
	case policy.Digits:
		if k != nil {
			return k.digits(dst, value)
		}
	}
	return append(dst, redacted...) // Redact, and whatever a newer manager may send
}

// tokenBytes is what a hashed text has of its digest, 22 characters: 128 bits, so
// that two of 2^32 values have the same token with a chance below one in 2^64.
const tokenBytes = 16

// token appends the hash of a text.
func (k *keyed) token(dst, value []byte) []byte {
	s := k.take()
	defer k.give(s)
	return base64.RawURLEncoding.AppendEncode(dst, s.digest(forText, value)[:tokenBytes])
}

// json masks a JSON value by a JSON string. Digits and KeepLast redact: what
// they leave would not be JSON for every value.
func (k *keyed) json(dst []byte, m policy.Method, version bool, value []byte) []byte {
	if version && len(value) > 0 {
		value = value[1:]
	}
	if m.Type != policy.Hash || k == nil {
		return appendJSON(dst, version, redacted)
	}
	dst = append(appendVersion(dst, version), '"')
	return append(k.token(dst, value), '"')
}

// appendJSON appends a string that needs no escapes as a JSON value.
func appendJSON(dst []byte, version bool, text string) []byte {
	dst = append(appendVersion(dst, version), '"')
	return append(append(dst, text...), '"')
}

// appendVersion appends what stands before the text of a binary JSONB value
// (jsonb_send in jsonb.c).
func appendVersion(dst []byte, version bool) []byte {
	if version {
		return append(dst, 1)
	}
	return dst
}

func trimBlanks(value []byte) []byte {
	for len(value) > 0 && value[len(value)-1] == ' ' {
		value = value[:len(value)-1]
	}
	return value
}
