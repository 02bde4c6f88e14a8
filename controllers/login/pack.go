// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// plainProof is a proof as encoding/json has it.
type plainProof proof

// MarshalJSON deflates a proof by itself: claims have much in common, and a URL takes no more
// than some kilobytes. What others choose is outside of it.
func (p proof) MarshalJSON() ([]byte, error) {
	plain, err := json.Marshal(plainProof(p))
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("cannot pack: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("cannot pack: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("cannot pack: %w", err)
	}
	return json.Marshal(packed.Bytes())
}

// UnmarshalJSON reads what MarshalJSON made.
func (p *proof) UnmarshalJSON(text []byte) error {
	var packed []byte
	if err := json.Unmarshal(text, &packed); err != nil {
		return err
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxOpened+1))
	if err != nil || len(plain) > maxOpened {
		return errors.New("cannot unpack a proof")
	}
	return json.Unmarshal(plain, (*plainProof)(p))
}
