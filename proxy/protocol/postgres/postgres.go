// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"encoding/json"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/proxy/protocol"
	"github.com/doorward/doorward/proxy/protocol/postgres/sql"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Name is the word of Connection.spec.protocol.
const Name = "postgres"

// defaultPort is PostgreSQL's registered port.
const defaultPort = 5432

// New is PostgreSQL as a protocol of the proxy.
func New() protocol.Protocol { return postgres{} }

type postgres struct{}

// Name implements protocol.Protocol.
func (postgres) Name() string { return Name }

// DefaultPort implements protocol.Protocol.
func (postgres) DefaultPort() int32 { return defaultPort }

// ValidateOptions implements protocol.Protocol.
func (postgres) ValidateOptions(raw json.RawMessage) error {
	_, err := parseOptions(raw)
	return err
}

// Vocabulary implements protocol.Protocol.
func (postgres) Vocabulary() policy.Vocabulary { return vocabulary() }

// vocabulary is made once, since policies are held against it all the time.
var vocabulary = sync.OnceValue(func() policy.Vocabulary {
	v := policy.Vocabulary{
		Resource: "schema.relation, or kind:name for other objects",
		Field:    "schema.relation.column",
		Content:  "values of results, and of COPY TO STDOUT",
		Role:     "a role that the credential's user is a member of",
		Row:      "a row of a result, of COPY TO STDOUT and of FETCH",
	}
	for _, a := range sql.Actions {
		v.Actions = append(v.Actions, policy.Term{Name: a.Name, Doc: a.Description + " Resource: " + a.Resource + "."})
	}
	for _, p := range sql.Properties {
		v.Properties = append(v.Properties, policy.Term{Name: p.Name, Doc: p.Description})
	}
	return v
})

// NewHandler implements protocol.Protocol.
func (postgres) NewHandler() protocol.Handler { return newHandler() }

func newHandler() *handler {
	return &handler{
		sessions: map[uint32]*session{},
		limiters: map[string]*rate.Limiter{},
		catalogs: map[place]*database{},
		changes:  map[string]*atomic.Uint64{},
		cache:    newCache(cachedStatements, cachedBytes),
		large:    make(chan struct{}, 1),
		backends: newBackends(),
	}
}

// place is a database at one target.
type place struct {
	database string
	target   snapshot.Target
}

// handler is what the sessions of one listener share.
type handler struct {
	peers protocol.Peers // nil where there are none

	// mu guards the maps below.
	mu       sync.Mutex
	sessions map[uint32]*session // by the process of their cancel keys
	limiters map[string]*rate.Limiter
	catalogs map[place]*database
	changes  map[string]*atomic.Uint64 // by database

	// withoutStandby is when no standby was found where one is preferred, in
	// Unix nanoseconds.
	withoutStandby atomic.Int64

	cache *cache
	// large is held by who analyses a large text.
	large chan struct{}

	// backends are the connections to targets.
	backends *backends
}
