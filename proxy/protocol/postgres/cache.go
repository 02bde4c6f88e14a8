// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"container/list"
	"strings"
	"sync"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
	"github.com/doorward/doorward/proxy/record"
)

// Bounds of the cache of analyses that the sessions of a listener share.
const (
	cachedStatements = 4096
	cachedBytes      = 64 << 20
)

// statement is one analysed statement with its recorded form. Immutable and
// shared between sessions.
type statement struct {
	*sql.Statement
	operation record.Operation
	// hidden says that the recorded form leaves out what may be a secret, so that
	// an approver could not judge it.
	hidden bool
}

// newStatement makes the recorded form once.
func newStatement(s *sql.Statement) *statement {
	st := &statement{Statement: s}
	st.operation = record.Operation{
		Protocol: Name, Kind: s.Kind, Statement: recordedText(s), Normalized: s.Normalized, Properties: s.Properties, Fields: s.Fields(),
	}
	st.hidden = st.operation.Statement != s.Text
	if inner := s.Runs(); inner != nil {
		// Whoever approves or reads the record must see what runs, not a name
		// that the caller chose. It comes first: no comment of the caller's can
		// stand in its place, or push it out of what is shown.
		shown := recordedText(inner)
		st.hidden = st.hidden || shown != inner.Text
		st.operation.Statement = shown + runByWords + st.operation.Statement
		st.operation.Normalized = inner.Normalized + runByWords + st.operation.Normalized
	}
	// Resources may repeat where only the columns differ; policies do not see columns.
	for _, a := range s.Accesses {
		next := policy.Access{Action: a.Action, Resource: a.Resource, Indirect: a.Indirect}
		if n := len(st.operation.Accesses); n == 0 || st.operation.Accesses[n-1] != next {
			st.operation.Accesses = append(st.operation.Accesses, next)
		}
	}
	return st
}

// runByWords stand between the statement that an EXECUTE runs and the EXECUTE.
const runByWords = " -- run by: "

// changesCatalog says that the catalog may differ after the statement.
func (st *statement) changesCatalog() bool {
	return st.Effects.IsDDL || st.Effects.MayChangeCatalog
}

// needsNames says that what the statement means, or shows, hangs on names.
func (st *statement) needsNames() bool { return !st.Pathless || st.Effects.Fetches != "" }

// endsTransaction says that the statement ends a transaction block.
func (st *statement) endsTransaction() bool {
	kind := st.Effects.Transaction
	return kind == sql.TransactionCommit || kind == sql.TransactionRollback || kind == sql.TransactionPrepare
}

// secretKinds are the statements whose constants may be passwords or
// connection strings.
var secretKinds = []string{"ROLE", "USER", "SUBSCRIPTION", "SERVER", "DATABASE", "SYSTEM", "SET"}

// recordedText is the text of a statement with its secrets taken out: where a
// constant may be one, the record shows the normalized form.
func recordedText(s *sql.Statement) string {
	if s.Kind == "DO" && mayHoldSecret(s.Text) {
		return s.Normalized
	}
	for _, word := range strings.Fields(s.Kind) {
		for _, kind := range secretKinds {
			if word == kind && mayHoldSecret(s.Text) {
				return s.Normalized
			}
		}
	}
	for _, a := range s.Accesses {
		if strings.Contains(a.Resource, "dblink") || a.Action == sql.ActionCopyProgram {
			return s.Normalized
		}
	}
	return s.Text
}

func mayHoldSecret(text string) bool {
	lower := strings.ToLower(text)
	for _, word := range []string{"password", "connection", "options", "passfile", "conninfo", "secret", "key"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// cache keeps analyses by text. An entry holds for the catalog snapshot and the
// search path it was made under only.
type cache struct {
	entries int
	bytes   int

	// mu guards the fields below.
	mu    sync.Mutex
	size  int
	order *list.List // of *cached, most recently used first
	index map[cacheKey]*list.Element
}

type cacheKey struct {
	catalog   *catalog.Catalog
	path      string
	unsettled bool
	inRole    bool
	text      string
}

type cached struct {
	key        cacheKey
	statements []*statement
}

func newCache(entries, bytes int) *cache {
	return &cache{entries: entries, bytes: bytes, order: list.New(), index: map[cacheKey]*list.Element{}}
}

func (c *cache) get(key cacheKey) ([]*statement, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.index[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(element)
	entry, _ := element.Value.(*cached)
	return entry.statements, true
}

// What an analysis takes besides its text, in bytes: of each statement, and of each
// word, whose part of the parse tree was measured to be at most this.
const (
	entryCost = 1 << 10
	wordCost  = 200
)

func (c *cache) put(key cacheKey, statements []*statement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := cost(key.text, len(statements))
	if _, ok := c.index[key]; ok || size > c.bytes/4 {
		return // one that large would push out many that are used
	}
	c.index[key] = c.order.PushFront(&cached{key: key, statements: statements})
	c.size += size
	for len(c.index) > c.entries || c.size > c.bytes {
		last := c.order.Back()
		old, _ := c.order.Remove(last).(*cached)
		delete(c.index, old.key)
		c.size -= cost(old.key.text, len(old.statements))
	}
}

// cost is about what an entry holds, rather more than less.
func cost(text string, statements int) int {
	return 3*len(text) + wordCost*words(text) + entryCost*(1+statements)
}

// words counts the words and signs of a text, those within constants too.
func words(text string) (n int) {
	inside := false
	for i := range len(text) {
		c := text[i]
		letter := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
		if letter && !inside || !letter && c > ' ' {
			n++
		}
		inside = letter
	}
	return n
}
