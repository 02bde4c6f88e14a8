// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/doorward/doorward/test/stack"
)

// TestWitnessBehind restores etcd to when the witness held less of a log than the
// proxy still has: nothing proves any more that the log continues it. The page
// says how the witness begins anew, and the records that both parts are of one log.
func TestWitnessBehind(t *testing.T) {
	// Segments of 128 KiB, of which a session of this test fills one in a second.
	shop, instance := newProxy(t, "--spool-max-bytes="+strconv.Itoa(1<<20))
	a := newAdmin(t, world.Control)
	backup := snapshots(t)
	busy := login(t, shop, "alice", "analysts")
	busy.must(t, "SELECT 1")
	await(t, "the log at the witness", func(ctx context.Context) error { return witnessed(ctx, instance, 1) })
	backup.save()
	held, err := auditLogOf(t.Context(), instance)
	must(t, err)
	passes := func(size int64) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := work(ctx, busy); err != nil {
				return err
			}
			if oldest, err := oldest(shop); err != nil || oldest <= size {
				return errors.Join(err, fmt.Errorf("record %d is still on the proxy's disk, want none below %d", oldest, size+1))
			}
			return nil
		}
	}
	await(t, "the end of what the backup knows on the proxy's disk", passes(held.Status.Size))
	kept, err := oldest(shop)
	must(t, err)

	backup.restore()
	took := await(t, "the report", func(ctx context.Context) error { return says(ctx, instance, "WitnessBehind") })
	t.Logf("reported %s after the restoration", short(took))
	// It serves, and keeps what it writes from now on.
	must(t, visit(t.Context(), t, shop, "alice", "SELECT 2", "analysts"))
	for range 3 {
		must(t, work(t.Context(), busy))
	}
	must(t, says(t.Context(), instance, "WitnessBehind"))
	still, err := oldest(shop)
	must(t, err)
	behind, err := auditLogOf(t.Context(), instance)
	must(t, err)
	if behind.Status.Size > held.Status.Size {
		t.Errorf("the witness holds %d records of a log that proves nothing, want %d", behind.Status.Size, held.Status.Size)
	}

	a.set("log=" + held.Name)
	a.follows(t, sectionBehind, beginAnew)
	took = await(t, "the log at the witness again", func(ctx context.Context) error {
		now, err := auditLogOf(ctx, instance)
		if err == nil && (now.UID == held.UID || now.Name != held.Name) {
			err = fmt.Errorf("it is %s %s", now.Name, now.UID)
		}
		return errors.Join(err, witnessed(ctx, instance, still+1))
	})
	await(t, "the end of the report", func(ctx context.Context) error { return says(ctx, instance, "") })
	t.Logf("witnessed anew after %s; records %d and later were kept meanwhile", short(took), kept)
	// What was kept goes, once it is witnessed.
	await(t, "the end of what was kept", passes(still))

	verified := told(t, sectionBehind, verifyBehind)
	await(t, "the records, held against both checkpoints", func(ctx context.Context) error {
		_, err := a.try(ctx, verified)
		return err
	})
	// The copy is of the older part, and holds by itself.
	output, err := a.try(t.Context(), `kubectl doorward audit verify --checkpoint "$log.yaml" "$records"`)
	if want := fmt.Sprintf("agrees with the trusted checkpoint up to %d\n", behind.Status.Size); err != nil || !strings.Contains(output, want) {
		t.Errorf("held against the copy: %v: %s, want %q", err, output, want)
	}
	must(t, complete(world.Records()))
}

// work fills a good part of a small segment.
func work(ctx context.Context, s *session) error {
	for i := range 60 {
		if err := s.run(ctx, fmt.Sprintf("SELECT %d, '%s'", i, strings.Repeat("x", 900))); err != nil {
			return err
		}
	}
	return nil
}

// oldest is the index of the oldest record on a proxy's disk.
func oldest(proxy *stack.Proxy) (int64, error) {
	segments, err := filepath.Glob(filepath.Join(proxy.Spool, "*.log"))
	if err != nil || len(segments) == 0 {
		return 0, errors.Join(err, fmt.Errorf("no segments in %q", proxy.Spool))
	}
	// Names are indices with leading zeros, and sorted.
	return strconv.ParseInt(strings.TrimSuffix(filepath.Base(segments[0]), ".log"), 10, 64)
}

// says says whether an instance has trouble of a kind, or none.
func says(ctx context.Context, instance, reason string) error {
	object, err := connection(ctx)
	if err != nil {
		return err
	}
	for _, p := range object.Status.Proxies {
		if p.Instance != instance {
			continue
		}
		if now, _, _ := strings.Cut(p.Message, ":"); now != reason {
			return fmt.Errorf("proxy %q says %q, want %q", instance, p.Message, reason)
		}
		return nil
	}
	return fmt.Errorf("no proxy %q reports: %+v", instance, object.Status.Proxies)
}
