// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// options is Connection.spec.options of this protocol.
type options struct {
	// Databases are the databases of the target that callers may connect to.
	Databases []string `json:"databases"`
}

const (
	maxDatabases = 32
	// maxIdentifier is the server's bound on a name, in bytes (NAMEDATALEN - 1).
	maxIdentifier = 63
)

// parseOptions decodes spec.options strictly.
func parseOptions(raw json.RawMessage) (options, error) {
	var o options
	if len(bytes.TrimSpace(raw)) == 0 {
		return o, errors.New(`spec.options: key "databases" is missing: name the databases that may be used, such as {"databases": ["shop"]}`)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return options{}, fmt.Errorf(`spec.options: %w: the only key of protocol postgres is "databases", a list of names`, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return options{}, errors.New("spec.options: want one JSON object and nothing after it")
	}
	if len(o.Databases) == 0 || len(o.Databases) > maxDatabases {
		return options{}, fmt.Errorf("spec.options: databases: want 1 to %d names, got %d", maxDatabases, len(o.Databases))
	}
	for i, name := range o.Databases {
		if name == "" || len(name) > maxIdentifier || bytes.IndexByte([]byte(name), 0) >= 0 {
			return options{}, fmt.Errorf("spec.options: databases: want names of 1 to %d bytes: %q", maxIdentifier, name)
		}
		if slices.Contains(o.Databases[:i], name) {
			return options{}, fmt.Errorf("spec.options: databases: named twice: %q", name)
		}
	}
	return o, nil
}

func (o options) serves(database string) bool { return slices.Contains(o.Databases, database) }
