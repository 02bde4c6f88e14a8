// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import "strconv"

// Exit is how a program ended at the target, as RFC 4254, section 6.10 tells it.
type Exit struct {
	// Status is its exit status; of no meaning where there is a Signal.
	Status uint32
	// Signal is the name of the signal that ended it, without "SIG"; empty for none.
	Signal string
	// CoreDumped says that it left a core image.
	CoreDumped bool
}

// Direction is the way that contents went.
type Direction string

// The directions of a Transfer.
const (
	// ToTarget is from the caller to the target, such as an upload.
	ToTarget Direction = "ToTarget"
	// ToCaller is from the target to the caller, such as a download.
	ToCaller Direction = "ToCaller"
)

// TransfersLimit is the number of an operation's transfers that a record holds.
const TransfersLimit = 256

// Transfer is content that went one way.
type Transfer struct {
	Direction Direction
	// Name tells the operation's transfers apart, such as the path of a file or the name of
	// a stream; empty where the operation itself says it.
	Name string
	// Bytes is how many there were, Offset where in a file they began.
	Bytes  int64
	Offset uint64
	// Digest is the SHA-256 of the Bytes bytes, "sha256:<hex>"; empty where none was taken.
	Digest string
	// Undigested is why there is no Digest where one should be.
	Undigested string
}

// transfersSize is the size in bytes from which on a record takes no further transfers.
const transfersSize = 128 << 10

// appendTransferred appends how a program ended and what went through.
func appendTransferred(dst []byte, r *Result) []byte {
	if x := r.Exit; x != nil {
		dst = append(dst, `,"exit":`...)
		o := len(dst)
		if x.Signal == "" {
			dst = strconv.AppendUint(append(dst, `,"status":`...), uint64(x.Status), 10)
		}
		dst = appendMember(dst, `,"signal":`, x.Signal)
		if x.CoreDumped {
			dst = append(dst, `,"coreDumped":true`...)
		}
		dst = closeObject(dst, o)
	}
	if len(r.Transfers) == 0 {
		return dst
	}
	dst = append(dst, `,"transfers":[`...)
	start, kept := len(dst), 0
	// Callers choose the names, and the record of a result must always fit.
	for kept < min(len(r.Transfers), TransfersLimit) && len(dst)-start < transfersSize {
		dst = appendTransfer(separate(dst, kept), &r.Transfers[kept])
		kept++
	}
	dst = append(dst, ']')
	if kept < len(r.Transfers) {
		dst = appendInt(dst, `,"transfersTruncated":`, int64(len(r.Transfers)))
	}
	return dst
}

func appendTransfer(dst []byte, t *Transfer) []byte {
	o := len(dst)
	dst = appendMember(dst, `,"direction":`, string(t.Direction))
	dst = appendMember(dst, `,"name":`, t.Name)
	dst = strconv.AppendInt(append(dst, `,"bytes":`...), t.Bytes, 10)
	if t.Offset != 0 {
		dst = strconv.AppendUint(append(dst, `,"offset":`...), t.Offset, 10)
	}
	dst = appendMember(dst, `,"digest":`, t.Digest)
	dst = appendMember(dst, `,"undigested":`, t.Undigested)
	return closeObject(dst, o)
}
