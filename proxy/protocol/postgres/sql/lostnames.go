// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"reflect"

	"github.com/multigres/multigres/go/common/parser"
)

// lostName finds a name of a masked column that is in the text more often than
// in the tree: what the parser did not keep was not followed. It looks at all
// strings of the tree, whatever they are for, and at plain identifiers of the
// text only, since keywords need not be in a tree.
func (s *Statement) lostName(m *MaskSet) (string, bool) {
	names := map[string]int{}
	for _, oid := range s.Relations {
		for column := range m.columns[oid] {
			names[column] = 0
		}
	}
	tokens, err := scan(s.Text)
	if err != nil {
		return s.Kind, true
	}
	found := false
	for _, t := range tokens {
		if _, masked := names[t.name]; masked && t.kind == parser.IDENT {
			names[t.name]++
			found = true
		}
	}
	if !found {
		return "", false
	}
	countNames(reflect.ValueOf(s.facts.tree), names, 0)
	for name, missing := range names {
		if missing > 0 {
			return name, true
		}
	}
	return "", false
}

// countNames takes off every string of a tree that is one of the names.
func countNames(v reflect.Value, names map[string]int, depth int) {
	if depth > maxDepth {
		return
	}
	switch v.Kind() { //nolint:exhaustive // the others hold no names
	case reflect.String:
		if n, masked := names[v.String()]; masked {
			names[v.String()] = n - 1
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			countNames(v.Elem(), names, depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			countNames(v.Field(i), names, depth+1)
		}
	case reflect.Slice:
		for i := range v.Len() {
			countNames(v.Index(i), names, depth+1)
		}
	}
}
