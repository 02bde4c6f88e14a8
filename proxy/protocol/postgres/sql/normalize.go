// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/multigres/multigres/go/common/parser"
)

// normalize writes the statement with constants as $n, numbered after the
// statement's own parameters. Linear in the number of tokens.
func normalize(part []token) string {
	next := 1
	for _, t := range part {
		if t.kind == parser.PARAM {
			if n, err := strconv.Atoi(strings.TrimPrefix(t.text, "$")); err == nil && n < 1<<16 && n >= next {
				next = n + 1
			}
		}
	}
	var b strings.Builder
	for i, t := range part {
		if i > 0 && spaced(part[i-1], t) {
			b.WriteByte(' ')
		}
		switch t.kind {
		case parser.SCONST, parser.USCONST, parser.ICONST, parser.FCONST, parser.BCONST, parser.XCONST:
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(next))
			next++
		case parser.IDENT:
			b.WriteString(quoteIdentifier(t.name))
		default:
			if t.isName {
				b.WriteString(t.name)
			} else {
				b.WriteString(t.text)
			}
		}
	}
	return b.String()
}

func spaced(before, after token) bool {
	switch {
	case before.kind == '.' || after.kind == '.' || before.kind == '(' || after.kind == ')' || after.kind == ',':
		return false
	case after.kind == '(':
		return !before.isName
	default:
		return true
	}
}

func quoteIdentifier(name string) string {
	plain := name != "" && parser.LookupKeyword(name) == nil
	for i := 0; plain && i < len(name); i++ {
		c := name[i]
		plain = c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9'
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// fingerprint digests what a policy can see of the statement.
func fingerprint(s *Statement) string {
	h := sha256.New()
	field := func(text string) {
		h.Write([]byte(strconv.Itoa(len(text))))
		h.Write([]byte{':'})
		h.Write([]byte(text))
	}
	field(s.Kind)
	field(s.Normalized)
	for _, a := range s.Accesses {
		field(a.Action)
		field(a.Resource)
		field(strconv.FormatBool(a.Indirect))
		field(strconv.Itoa(len(a.Columns)))
		for _, c := range a.Columns {
			field(c)
		}
	}
	for _, p := range s.Properties {
		field(p)
	}
	for _, r := range s.Relations {
		field(strconv.FormatUint(uint64(r), 10))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func sortedUnique(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return slices.Compact(names)
}
