// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/time/rate"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
	"github.com/doorward/doorward/proxy/snapshot"
)

const (
	// catalogLife is how long a catalog is used without looking again: what was
	// changed past the proxy is seen after that.
	catalogLife = 60 * time.Second
	// catalogSoft is the age from which a session looks again beside its
	// ordinary work, so that no statement waits for it.
	catalogSoft = 45 * time.Second
	// catalogPause is the mean time between two loads on a miss, once missBurst of
	// them came at once: statements that name what does not exist wait, and do not
	// load the target.
	catalogPause = 250 * time.Millisecond
	missBurst    = 20
)

// database is what the sessions of one database at one target share. A standby
// may lag behind, so that each target has a catalog of its own.
type database struct {
	name     string
	target   snapshot.Target
	backends *backends
	// current is the catalog in use; nil before the first was loaded.
	current atomic.Pointer[loaded]
	// changes counts the changes of the catalog that sessions have made, at
	// whichever target.
	changes *atomic.Uint64

	// loading lets one session load at a time.
	loading sync.Mutex
	// missing lets one session load because of a miss at a time, for all that wait.
	missing sync.Mutex
	misses  *rate.Limiter
}

// loaded is one snapshot of a catalog. Immutable.
type loaded struct {
	*catalog.Catalog
	at time.Time
	// begun is when it began to be read: what was committed before is in it.
	begun time.Time
	// changes is the count of changes that the snapshot is sure to hold.
	changes uint64
	// fingerprint tells whether the target's catalog has changed since.
	fingerprint string
	// own says that it is the one of a session's open transaction.
	own bool
}

// queryFingerprint digests the versions of all rows that a catalog is made of.
// It costs a fraction of reading them; temporary relations are left out as far
// as they can be told.
const queryFingerprint = `
SELECT pg_catalog.concat_ws(',',
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_class WHERE relpersistence <> 't'),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(a.xmin, a.ctid)))) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relpersistence <> 't'),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_attrdef),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_rewrite),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_inherits),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_proc),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(t.xmin, t.ctid)))) FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid WHERE c.relpersistence IS DISTINCT FROM 't'),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_operator),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_cast),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_constraint),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_index),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_auth_members),
 (SELECT pg_catalog.concat_ws(':', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat(xmin, ctid)))) FROM pg_catalog.pg_policy))`

// maxCatalogs bounds the catalogs that are kept when the Connection's targets
// change: as many as one Connection may name, 8 targets of 32 databases.
const maxCatalogs = 256

func (h *handler) database(name string, target snapshot.Target) *database {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := place{name, target}
	d := h.catalogs[key]
	if d == nil {
		if len(h.catalogs) >= maxCatalogs {
			clear(h.catalogs)
		}
		d = &database{name: name, target: target, backends: h.backends, changes: h.changes[name], misses: rate.NewLimiter(rate.Every(catalogPause), missBurst)}
		if d.changes == nil {
			d.changes = &atomic.Uint64{}
			h.changes[name] = d.changes
		}
		h.catalogs[key] = d
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
	return d.load(ctx, grant, attrsAny, func(c *loaded) bool {
		return c.changes == d.changes.Load() && time.Since(c.at) < catalogLife
	})
}

// entering is get for a session that is about to begin: nothing is read from a
// target that is not what the Connection wants.
func (d *database) entering(ctx context.Context, grant *access.Grant, want string) (*loaded, error) {
	return d.load(ctx, grant, want, func(c *loaded) bool {
		return c.changes == d.changes.Load() && time.Since(c.at) < catalogLife
	})
}

// newer returns a catalog that holds all that was there when something was missed
// in another, whoever committed it.
func (d *database) newer(ctx context.Context, grant *access.Grant) (*loaded, error) {
	missed := time.Now()
	d.missing.Lock()
	defer d.missing.Unlock()
	enough := func(c *loaded) bool { return c.changes == d.changes.Load() && c.begun.After(missed) }
	if c := d.current.Load(); c != nil && enough(c) {
		return c, nil
	}
	if err := d.misses.Wait(ctx); err != nil {
		return nil, err
	}
	return d.load(ctx, grant, attrsAny, enough)
}

// load loads the catalog unless the current one is good enough.
func (d *database) load(ctx context.Context, grant *access.Grant, want string, enough func(*loaded) bool) (*loaded, error) {
	d.loading.Lock()
	defer d.loading.Unlock()
	if c := d.current.Load(); c != nil && enough(c) {
		return c, nil
	}
	fresh := &loaded{changes: d.changes.Load(), begun: time.Now()}
	conn, err := d.connect(ctx, grant, want)
	if err != nil {
		return nil, err
	}
	left := d.backends.enter(d.target, conn.PID())
	// The connection's own goroutines end with it.
	defer func() {
		defer left()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeBound)
		defer cancel()
		_ = conn.Close(closing)
	}()
	rows, err := queryText(ctx, conn, queryFingerprint)
	if err != nil || len(rows) != 1 {
		return nil, fmt.Errorf("cannot read the catalog's fingerprint: %w", err)
	}
	fresh.fingerprint = rows[0][0]
	// What is not changed stays the same snapshot, so that what was worked out
	// of it stays, too.
	if last := d.current.Load(); last != nil && last.fingerprint == fresh.fingerprint {
		fresh.Catalog = last.Catalog
	} else {
		fresh.Catalog, err = catalog.Load(ctx, catalog.QuerierFunc(func(ctx context.Context, text string) ([][]string, error) {
			return queryText(ctx, conn, text)
		}))
		if err != nil {
			return nil, err
		}
	}
	fresh.at = time.Now()
	d.current.Store(fresh)
	return fresh, nil
}

// connect opens a connection of the proxy's own to the target.
func (d *database) connect(ctx context.Context, grant *access.Grant, want string) (*pgconn.PgConn, error) {
	o, err := parseOptions(grant.Options())
	if err != nil {
		return nil, err
	}
	o.TargetSessionAttrs = want
	up, err := grant.Redial(ctx, d.target)
	if err != nil {
		return nil, err
	}
	conn, err := prove(ctx, grant, up, o, d.name, map[string]string{"application_name": catalogName(grant.Session())})
	if err != nil {
		// Closing twice does no harm; pgconn closes on most of its own errors.
		_ = up.Conn.Close()
		return nil, connectRefusal(grant, err)
	}
	return conn, nil
}

// aging says that the current catalog should be looked at again soon.
func (d *database) aging() bool {
	c := d.current.Load()
	return c != nil && time.Since(c.at) > catalogSoft
}

// renew looks again at an aging catalog, where nobody else does.
func (d *database) renew(ctx context.Context, grant *access.Grant) {
	if !d.loading.TryLock() {
		return
	}
	d.loading.Unlock()
	// A failure is met again, and told, by the statement that needs the catalog.
	_, _ = d.load(ctx, grant, attrsAny, func(c *loaded) bool {
		return c.changes == d.changes.Load() && time.Since(c.at) < catalogSoft
	})
}
