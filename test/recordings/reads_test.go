// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/extract"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestAuditorReads: checklist 46: an auditor reads one session and no other, which can be
// verified, and is on record under her name.
func TestAuditorReads(t *testing.T) {
	own := session(t, world.Proxy(), true, "SELECT 'own statement'")
	session(t, world.Proxy(), true, "SELECT 'canary of another'")
	got := read(t, pathOf(own), token(t, "dora"))
	if got.code != http.StatusOK || got.broken != nil {
		t.Fatalf("%d %v %s", got.code, got.broken, got.body)
	}
	var kinds []record.Type
	report, err := extract.Check(strings.NewReader(got.body), func(r record.Record) error {
		d, err := record.Decode(r.JSON)
		kinds = append(kinds, d.Type)
		return err
	})
	stacktest.Must(t, err)
	want := []record.Type{record.SessionStart, record.OperationDecided, record.OperationResult, record.SessionEnd}
	if !slices.Equal(kinds, want) || report.Session != own.Name || report.Log != own.Status.Log.ID ||
		!strings.Contains(got.body, "own statement") || strings.Contains(got.body, "canary") {
		t.Errorf("%v: %+v\n%s", kinds, report, got.body)
	}
	for header, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "", "Content-Type": extract.MediaType} {
		if has := got.header.Get(header); has != want {
			t.Errorf("header %s is %q", header, has)
		}
	}
	d := awaitRead(t, "dora", own.Name, 1)[0]
	if d.Decision.Effect != "Allow" || d.Connection.Name != stack.Connection || d.Actor.KubernetesUser != "dora" || !slices.Contains(d.Actor.Groups, "staff") ||
		!strings.HasPrefix(d.ClientAddress, "127.0.0.1:") || d.Log != own.Status.Log.ID || d.Session != "" || !strings.Contains(d.Decision.Cause, "auditor-dora") {
		t.Errorf("on record: %+v by %+v, %+v", d, d.Actor, d.Decision)
	}
	if report.Size <= d.Index {
		t.Errorf("what was given was signed before the reading was on record: %d, %d", report.Size, d.Index)
	}
}

// TestLive: of a session that goes on, what is there is given.
func TestLive(t *testing.T) {
	own := session(t, world.Proxy(), false, "SELECT 'so far'")
	got := read(t, pathOf(own), token(t, "dora"))
	if got.code != http.StatusOK || !strings.Contains(got.body, "so far") || strings.Contains(got.body, `"type":"SessionEnd"`) {
		t.Fatalf("%d %s", got.code, got.body)
	}
	if _, err := extract.Check(strings.NewReader(got.body), func(record.Record) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestProxyGone: what a proxy has that is gone is not given, and the error says where else
// it is; nothing of it is given by another proxy of the Connection.
func TestProxyGone(t *testing.T) {
	other := stacktest.StartProxy(t, world, stack.ProxyOptions{Args: []string{offer}})
	own := session(t, other, true, "SELECT 'soon gone'")
	if got := read(t, pathOf(own), token(t, "dora")); got.code != http.StatusOK {
		t.Fatalf("while it is there: %d %s", got.code, got.body)
	}
	stacktest.Must(t, other.Kill())
	got := read(t, pathOf(own), token(t, "dora"))
	if got.code != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "soon gone") ||
		!strings.Contains(got.body, other.Instance) || !strings.Contains(got.body, "file (File)") || !strings.Contains(got.body, "kubectl doorward replay "+own.Name+" --records") {
		t.Errorf("when it is gone: %d %s", got.code, got.body)
	}
	stacktest.Must(t, other.Start(t.Context()))
	stacktest.Await(t, "the recording of the proxy that came back", func(context.Context) error {
		if got := read(t, pathOf(own), token(t, "dora")); got.code != http.StatusOK || !strings.Contains(got.body, "soon gone") {
			return errors.New(got.body)
		}
		return nil
	})
}

// TestCannotBeRecorded: checklist 46: where the reading cannot be put on record as the
// Connection asks for, nothing is read.
func TestCannotBeRecorded(t *testing.T) {
	own := session(t, world.Proxy(), true, "SELECT 'unread'")
	object, err := world.ShopConnection(t.Context())
	stacktest.Must(t, err)
	before := object.Spec.Audit.DeepCopy()
	apply := func(audit *v1alpha1.AuditSettings) {
		stacktest.Change(t, world, object, func(c *v1alpha1.Connection) { c.Spec.Audit = audit })
		stacktest.Await(t, "the Connection in force", func(ctx context.Context) error { return world.ShopRuns(ctx, object.Generation) })
	}
	// No LogSink of this stack is off the machine: no record counts.
	remote := &v1alpha1.AuditSettings{}
	if before != nil {
		remote = before.DeepCopy()
	}
	remote.Durability = v1alpha1.AuditDurabilityRemote
	apply(remote)
	t.Cleanup(func() { apply(before) })
	got := read(t, pathOf(own), token(t, "dora"))
	if got.code != http.StatusServiceUnavailable || strings.Contains(got.body, "unread") || !strings.Contains(got.body, "could not be put on record") {
		t.Errorf("%d %s", got.code, got.body)
	}
}

// TestFlood: refused readings fill no log: those beyond a rate are on no record, and are
// counted by the next.
func TestFlood(t *testing.T) {
	own := session(t, world.Proxy(), true, "SELECT 'flood'")
	flo := tokenOf(t, issuer.Request{User: "flo", Audience: stack.KubernetesAudience})
	// Eight at a time, until it was too many: how long that takes is the machine's matter.
	var refused, limited atomic.Int64
	end := time.Now().Add(stacktest.Timeout)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for limited.Load() < 3 && time.Now().Before(end) {
				switch got := read(t, pathOf(own), flo); got.code {
				case http.StatusForbidden:
					refused.Add(1)
				case http.StatusTooManyRequests:
					limited.Add(1)
				default:
					t.Errorf("%d %s", got.code, got.body)
					return
				}
			}
		})
	}
	all.Wait()
	if refused.Load() == 0 || limited.Load() == 0 {
		t.Fatalf("%d refused, %d too many", refused.Load(), limited.Load())
	}
	if got := read(t, pathOf(own), token(t, "dora")); got.code != http.StatusOK {
		t.Fatalf("others wait: %d %s", got.code, got.body)
	}
	counted := int64(0)
	awaitRead(t, "dora", own.Name, 1)
	for _, d := range append(reads(t, "flo", own.Name), reads(t, "dora", own.Name)...) {
		counted += d.Read.Unrecorded
	}
	if on := int64(len(reads(t, "flo", own.Name))); on > refused.Load() || on+counted < refused.Load()+limited.Load() {
		t.Errorf("%d refused and %d too many, of which %d are on record and %d are counted", refused.Load(), limited.Load(), on, counted)
	}
}
