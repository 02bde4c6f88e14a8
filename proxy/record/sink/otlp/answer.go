// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

var errAnswer = errors.New("the answer is no ExportLogsServiceResponse")

// partial is an ExportLogsPartialSuccess.
type partial struct {
	rejected int64
	message  string
}

// refusal is nil where nothing was rejected. A message without a rejected
// record is a warning of the server's, which changes nothing.
func (p partial) refusal() *refusal {
	if p.rejected == 0 {
		return nil
	}
	return &refusal{
		status: fmt.Sprintf("records rejected: %d", p.rejected), said: p.message, some: true,
		hint: "have the server take them; they are sent again until it does",
	}
}

// answered reads an ExportLogsServiceResponse in its protobuf form: field 1 is
// an ExportLogsPartialSuccess, whose field 1 is the number of rejected records
// and field 2 a message. Unknown fields are passed over, as protobuf asks.
func answered(data []byte) *refusal {
	var p partial
	err := fields(data, func(number protowire.Number, kind protowire.Type, value []byte) error {
		if number != 1 {
			return nil
		}
		if kind != protowire.BytesType {
			return errAnswer
		}
		inner, _ := protowire.ConsumeBytes(value)
		return fields(inner, p.field)
	})
	if err != nil {
		return &refusal{status: "answer not readable", cause: err, hint: hintNoReceiver}
	}
	return p.refusal()
}

func (p *partial) field(number protowire.Number, kind protowire.Type, value []byte) error {
	switch {
	case number == 1 && kind == protowire.VarintType:
		n, _ := protowire.ConsumeVarint(value)
		p.rejected = int64(n) //nolint:gosec // an int64 is encoded so
	case number == 2 && kind == protowire.BytesType:
		message, _ := protowire.ConsumeBytes(value)
		p.message = string(message)
	case number == 1 || number == 2:
		return errAnswer
	}
	return nil
}

// fields calls do for each field of a message.
func fields(data []byte, do func(protowire.Number, protowire.Type, []byte) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("%w: %w", errAnswer, protowire.ParseError(n))
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return fmt.Errorf("%w: %w", errAnswer, protowire.ParseError(n))
		}
		if err := do(number, kind, data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// answeredJSON reads an ExportLogsServiceResponse in protobuf's JSON form, in
// which an int64 may be a string, as some servers answer although they were
// asked in protobuf.
func answeredJSON(data []byte) *refusal {
	var answer struct {
		PartialSuccess struct {
			Rejected     json.RawMessage `json:"rejectedLogRecords"`
			ErrorMessage string          `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	err := json.Unmarshal(data, &answer)
	p := partial{message: answer.PartialSuccess.ErrorMessage}
	if raw := answer.PartialSuccess.Rejected; err == nil && len(raw) > 0 {
		if raw[0] == '"' {
			raw = raw[1 : len(raw)-1]
		}
		err = json.Unmarshal(raw, &p.rejected)
	}
	if err != nil {
		return &refusal{status: "answer not readable", cause: fmt.Errorf("%w: %w", errAnswer, err), hint: hintNoReceiver}
	}
	return p.refusal()
}
