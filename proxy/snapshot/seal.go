// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The keys of the Secret that carries a snapshot.
const (
	KeySnapshot           = "snapshot"
	KeySnapshotSignature  = "snapshot.sig"
	KeyHeartbeat          = "heartbeat"
	KeyHeartbeatSignature = "heartbeat.sig"
)

// Bounds of a snapshot: a Secret may hold 1 MiB; what is unpacked is bounded so
// that a small Secret cannot fill the proxy's memory.
const (
	MaxSealedBytes   = 900 << 10
	MaxUnpackedBytes = 16 << 20
)

// Signatures are made over a context line and the bytes, so that a signature of
// one kind is never taken for another.
const (
	snapshotContext  = "doorward.dev/snapshot/v1\n"
	heartbeatContext = "doorward.dev/heartbeat/v1\n"
)

var (
	// ErrTooLarge is returned by Seal for a snapshot that does not fit a Secret.
	ErrTooLarge = errors.New("snapshot too large")
	// ErrSignature is returned where a signature is missing or wrong.
	ErrSignature = errors.New("signature not by the manager's key")
)

// Seal encodes, compresses and signs a snapshot: the data of its Secret.
func Seal(s Snapshot, key ed25519.PrivateKey) (map[string][]byte, error) {
	plain, err := json.Marshal(sealedForm(s))
	if err != nil {
		return nil, fmt.Errorf("cannot encode snapshot: %w", err)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(plain); err != nil {
		return nil, fmt.Errorf("cannot compress snapshot: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("cannot compress snapshot: %w", err)
	}
	if packed.Len() > MaxSealedBytes || len(plain) > MaxUnpackedBytes {
		return nil, fmt.Errorf("%w: %d bytes packed (limit %d), %d unpacked (limit %d)",
			ErrTooLarge, packed.Len(), MaxSealedBytes, len(plain), MaxUnpackedBytes)
	}
	return map[string][]byte{
		KeySnapshot:          packed.Bytes(),
		KeySnapshotSignature: sign(key, snapshotContext, packed.Bytes()),
	}, nil
}

// Open verifies and decodes a snapshot. Nothing is decoded before the signature
// has been verified.
func Open(data map[string][]byte, key ed25519.PublicKey) (*Snapshot, error) {
	packed := data[KeySnapshot]
	if !verify(key, snapshotContext, packed, data[KeySnapshotSignature]) {
		return nil, fmt.Errorf("cannot open snapshot: %w", ErrSignature)
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("cannot decompress snapshot: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(zip, MaxUnpackedBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot decompress snapshot: %w", err)
	}
	if len(plain) > MaxUnpackedBytes {
		return nil, fmt.Errorf("%w: more than %d bytes unpacked", ErrTooLarge, MaxUnpackedBytes)
	}
	var form sealed
	if err := strict(plain, &form); err != nil {
		return nil, fmt.Errorf("cannot decode snapshot: %w", err)
	}
	s, err := form.open()
	if err != nil {
		return nil, fmt.Errorf("cannot decode snapshot: %w", err)
	}
	if s.Schema != Schema {
		return nil, fmt.Errorf("cannot decode snapshot: schema %q, want %q: upgrade the proxy to the manager's version", s.Schema, Schema)
	}
	return s, nil
}

// SealHeartbeat encodes and signs a heartbeat: the other half of the Secret's data.
func SealHeartbeat(h Heartbeat, key ed25519.PrivateKey) (map[string][]byte, error) {
	plain, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("cannot encode heartbeat: %w", err)
	}
	return map[string][]byte{
		KeyHeartbeat:          plain,
		KeyHeartbeatSignature: sign(key, heartbeatContext, plain),
	}, nil
}

// OpenHeartbeat verifies and decodes a heartbeat.
func OpenHeartbeat(data map[string][]byte, key ed25519.PublicKey) (Heartbeat, error) {
	var h Heartbeat
	if !verify(key, heartbeatContext, data[KeyHeartbeat], data[KeyHeartbeatSignature]) {
		return h, fmt.Errorf("cannot open heartbeat: %w", ErrSignature)
	}
	if err := strict(data[KeyHeartbeat], &h); err != nil {
		return h, fmt.Errorf("cannot decode heartbeat: %w", err)
	}
	return h, nil
}

// strict takes one value to the end and refuses unknown fields: a rule this proxy does not know must not be
// dropped silently, since it may be a restriction.
func strict(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	// More would take a stray ] or } for the end.
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data after the end")
	}
	return nil
}

func sign(key ed25519.PrivateKey, context string, data []byte) []byte {
	return ed25519.Sign(key, append([]byte(context), data...))
}

func verify(key ed25519.PublicKey, context string, data, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && len(data) > 0 &&
		ed25519.Verify(key, append([]byte(context), data...), signature)
}
