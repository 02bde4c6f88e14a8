// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

const (
	// catalogLife is how long a catalog is used without looking again: what was
	// changed past the proxy is seen after that.
	catalogLife = 60 * time.Second
	// catalogPause is the least time between two loads on a miss, so that
	// statements that name what does not exist do not load the target.
	catalogPause = 250 * time.Millisecond
)

// database is what the sessions of one database of the target share.
type database struct {
	name string
	// current is the catalog in use; nil before the first was loaded.
	current atomic.Pointer[loaded]
	// changes counts the changes of the catalog that sessions have made.
	changes atomic.Uint64

	// loading lets one session load at a time.
	loading sync.Mutex
}

// loaded is one snapshot of a catalog. Immutable.
type loaded struct {
	*catalog.Catalog
	// path is current_schemas(false) of the stored credential's role: sessions
	// are started with it, so that no schema made later moves into it.
	path []string
	at   time.Time
	// changes is the count of changes that the snapshot is sure to hold.
	changes uint64
}

func (h *handler) database(name string) *database {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.catalogs[name]
	if d == nil {
		d = &database{name: name}
		h.catalogs[name] = d
	}
	return d
}

// changed says that a session has changed the catalog: what is loaded now no
// longer holds for any session.
func (d *database) changed() { d.changes.Add(1) }

// get returns a catalog that holds every change made through the proxy and is
// not older than its life.
func (d *database) get(ctx context.Context, grant *access.Grant) (*loaded, error) {
	if c := d.current.Load(); c != nil && c.changes == d.changes.Load() && time.Since(c.at) < catalogLife {
		return c, nil
	}
	return d.load(ctx, grant, func(c *loaded) bool {
		return c.changes == d.changes.Load() && time.Since(c.at) < catalogLife
	})
}

// newer returns a catalog other than the one in which something was missed, or
// the same where another was loaded a moment ago.
func (d *database) newer(ctx context.Context, grant *access.Grant, missed *loaded) (*loaded, error) {
	return d.load(ctx, grant, func(c *loaded) bool {
		return c.changes == d.changes.Load() && (c != missed || time.Since(c.at) < catalogPause)
	})
}

// load loads the catalog unless the current one is good enough.
func (d *database) load(ctx context.Context, grant *access.Grant, enough func(*loaded) bool) (*loaded, error) {
	d.loading.Lock()
	defer d.loading.Unlock()
	if c := d.current.Load(); c != nil && enough(c) {
		return c, nil
	}
	fresh := &loaded{changes: d.changes.Load()}
	conn, _, err := connect(ctx, grant, d.name, map[string]string{"application_name": "doorward:catalog"})
	if err != nil {
		return nil, err
	}
	// The connection's own goroutines end with it.
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeBound)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if fresh.path, err = schemas(ctx, conn, false); err != nil {
		return nil, fmt.Errorf("cannot read the search path: %w", err)
	}
	fresh.Catalog, err = catalog.Load(ctx, catalog.QuerierFunc(func(ctx context.Context, text string) ([][]string, error) {
		return queryText(ctx, conn, text)
	}))
	if err != nil {
		return nil, err
	}
	fresh.at = time.Now()
	d.current.Store(fresh)
	return fresh, nil
}
