// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

// Overaccounted names those that the analysis claims to have seen more often
// than the text holds them: each would let one unseen mention pass.
func Overaccounted(s *Statement) []string {
	var out []string
	if s.facts.tokens == nil {
		return nil
	}
	for name, n := range s.facts.accounted() {
		if n > s.facts.tokens[name] {
			out = append(out, name)
		}
	}
	return out
}
