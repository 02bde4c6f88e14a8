// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

// intake is a receiver that takes few records at once and keeps what it took.
type intake struct {
	most   int // records in one request; the others are refused
	refuse func(w http.ResponseWriter, r *http.Request)

	mu    sync.Mutex // guards what follows
	asked []string   // the range of each request
	took  []string   // lines
	fail  string     // the range that is answered with 500
}

func (i *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	i.mu.Lock()
	defer i.mu.Unlock()
	id := strings.TrimPrefix(r.Header.Get("webhook-id"), sinktest.LogID+"/")
	i.asked = append(i.asked, id)
	switch {
	case bytes.Count(body, []byte("\n")) > i.most:
		i.refuse(w, r)
	case id == i.fail:
		w.WriteHeader(http.StatusInternalServerError)
	default:
		i.took = append(i.took, strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")...)
	}
}

func lines(first, end int64) []string {
	var all []string
	for _, r := range sinktest.Records(first, end) {
		all = append(all, string(r.JSON))
	}
	return all
}

// TestTooLarge: what is refused as too large comes in halves, in order, under
// ids that are the same each time.
func TestTooLarge(t *testing.T) {
	i := &intake{most: 2, refuse: answer(413)}
	s := open(t, fake(t, i.ServeHTTP))
	for range 2 {
		if err := s.Write(t.Context(), sinktest.Records(0, 7)); err != nil {
			t.Fatal(err)
		}
		want := []string{"0-6", "0-2", "0-0", "1-2", "3-6", "3-4", "5-6"}
		if diff := cmp.Diff(want, i.asked); diff != "" {
			t.Errorf("requests: -want, +got:\n%s", diff)
		}
		if diff := cmp.Diff(lines(0, 7), i.took); diff != "" {
			t.Errorf("records: -want, +got:\n%s", diff)
		}
		i.asked, i.took = nil, nil
	}
}

// TestOneTooLarge: a record that is never taken is not dropped, and is named.
func TestOneTooLarge(t *testing.T) {
	i := &intake{most: 0, refuse: answer(413)}
	err := open(t, fake(t, i.ServeHTTP)).Write(t.Context(), sinktest.Records(4, 8))
	if err == nil || !strings.Contains(err.Error(), sinktest.LogID+"/4-4") || !strings.Contains(err.Error(), "requests of 4 MiB") {
		t.Errorf("Write: %v, want an error that names the record and what to do", err)
	}
	if len(i.asked) != 3 {
		t.Errorf("requests %q: those behind a record that is not taken must wait", i.asked)
	}
}

// TestPartlyAccepted: one half taken is not the batch taken.
func TestPartlyAccepted(t *testing.T) {
	i := &intake{most: 2, refuse: answer(413), fail: "2-3"}
	s := open(t, fake(t, i.ServeHTTP))
	if err := s.Write(t.Context(), sinktest.Records(0, 4)); err == nil {
		t.Fatal("accepted although the second half was refused")
	}
	i.fail = ""
	if err := s.Write(t.Context(), sinktest.Records(0, 4)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append(lines(0, 2), lines(0, 4)...), i.took); diff != "" {
		t.Errorf("records: -want, +got:\n%s", diff)
	}
}

// TestHangsUpOnLarge: a receiver that closes the connection instead of saying
// 413 does not hold up records for ever, and is sent whole batches again when
// it takes them.
func TestHangsUpOnLarge(t *testing.T) {
	i := &intake{most: 2, refuse: hangUp("")}
	s := patient(func(t *testing.T) sink.Sink { t.Helper(); return open(t, fake(t, i.ServeHTTP)) })(t)
	if err := s.Write(t.Context(), sinktest.Records(0, 8)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var once []string
	for _, line := range i.took {
		if !seen[line] {
			once = append(once, line)
		}
		seen[line] = true
	}
	if diff := cmp.Diff(lines(0, 8), once); diff != "" {
		t.Errorf("records: -want, +got:\n%s", diff)
	}
	i.most, i.asked = 8, nil
	if err := s.Write(t.Context(), sinktest.Records(8, 16)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"8-15"}, i.asked); diff != "" {
		t.Errorf("requests after the limit is gone: -want, +got:\n%s", diff)
	}
}

func TestHeaders(t *testing.T) {
	headers := make(chan http.Header, 1)
	options := fake(t, func(_ http.ResponseWriter, r *http.Request) { headers <- r.Header })
	options.Compression = sink.Gzip
	options.Headers["x-tenant"] = "blue"
	if err := open(t, options).Write(t.Context(), sinktest.Records(0, 1)); err != nil {
		t.Fatal(err)
	}
	h := <-headers
	got := map[string]string{}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Authorization", "X-Tenant", "Webhook-Id", "User-Agent"} {
		got[name] = h.Get(name)
	}
	want := map[string]string{
		"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip", "Authorization": "Bearer canary-bearer",
		"X-Tenant": "blue", "Webhook-Id": sinktest.LogID + "/0-0", "User-Agent": "doorward",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}
