// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"crypto/sha256"
	"encoding/hex"
)

func appendOperation(dst []byte, op *Operation) []byte {
	o := len(dst)
	dst = appendOperationHead(dst, op)
	if op.Digest == "" && op.Statement != "" {
		dst = appendDigest(dst, op.Statement)
	} else {
		dst = appendMember(dst, `,"digest":`, op.Digest)
	}
	dst = appendOperationMiddle(dst, op)
	dst = appendParameters(dst, op)
	return closeObject(dst, o)
}

func appendOperationHead(dst []byte, op *Operation) []byte {
	dst = appendMember(dst, `,"protocol":`, op.Protocol)
	dst = appendMember(dst, `,"kind":`, op.Kind)
	return appendText(dst, `,"statement":`, `,"truncated":`, op.Statement)
}

func appendOperationMiddle(dst []byte, op *Operation) []byte {
	dst = appendText(dst, `,"normalized":`, `,"normalizedTruncated":`, op.Normalized)
	if len(op.Accesses) > 0 {
		dst = append(dst, `,"accesses":[`...)
		for i, a := range op.Accesses {
			dst = separate(dst, i)
			o := len(dst)
			dst = appendMember(dst, `,"action":`, a.Action)
			dst = appendMember(dst, `,"resource":`, a.Resource)
			if a.Indirect {
				dst = append(dst, `,"indirect":true`...)
			}
			dst = closeObject(dst, o)
		}
		dst = append(dst, ']')
	}
	dst = appendList(dst, `,"properties":[`, op.Properties)
	if op.Fields != nil && len(op.Fields) == 0 {
		dst = append(dst, `,"fields":[]`...)
	}
	dst = appendList(dst, `,"fields":[`, op.Fields[:min(len(op.Fields), FieldsLimit)])
	if len(op.Fields) > FieldsLimit {
		dst = appendInt(dst, `,"fieldsTruncated":`, int64(len(op.Fields)))
	}
	return dst
}

func appendParameters(dst []byte, op *Operation) []byte {
	dst = appendInt(dst, `,"parameters":`, int64(op.Parameters))
	dst = appendMember(dst, `,"parametersDigest":`, op.ParametersDigest)
	return appendText(dst, `,"parameterText":`, `,"parameterTextTruncated":`, op.ParameterText)
}

func appendDigest(dst []byte, s string) []byte {
	h := sha256.New()
	var part [1 << 10]byte // hashes without a copy of the whole
	for s != "" {
		n := copy(part[:], s)
		h.Write(part[:n])
		s = s[n:]
	}
	dst = append(dst, `,"digest":"sha256:`...)
	dst = hex.AppendEncode(dst, h.Sum(part[:0]))
	return append(dst, '"')
}
