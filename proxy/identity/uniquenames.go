// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// UniqueNames refuses JSON in which an object, at any depth, has two members of one name:
// parsers do not agree on which of the two counts (RFC 7515 section 4, RFC 7519 section
// 4). What is no JSON is left to who decodes it.
func UniqueNames(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	// open are the names seen in each object that is open; nil for a list. named says
	// that the next text is the name of a member.
	var open []map[string]bool
	named := false
	for {
		token, err := decoder.Token()
		if err != nil {
			// The end, or what is said better where the whole is decoded.
			return nil //nolint:nilerr // see above
		}
		inObject := len(open) > 0 && open[len(open)-1] != nil
		switch word := token.(type) {
		case json.Delim:
			switch word {
			case '{':
				open, named = append(open, map[string]bool{}), true
				continue
			case '[':
				open, named = append(open, nil), false
				continue
			}
			open = open[:len(open)-1]
		case string:
			if inObject && named {
				seen := open[len(open)-1]
				if seen[word] {
					return fmt.Errorf("token has one name twice: %q", Shorten(word))
				}
				seen[word], named = true, false
				continue
			}
		}
		// A value has ended; in an object a name follows.
		named = len(open) > 0 && open[len(open)-1] != nil
	}
}
