// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/tail"
)

// masked are the forms in which masked values would show, as text; see shop.sql
// and lab.sql.
var masked = map[string]*regexp.Regexp{
	"e-mail of a customer":   regexp.MustCompile(`customer\d+@example\.com`),
	"card of a customer":     regexp.MustCompile(`4111 ?1111`),
	"phone of a customer":    regexp.MustCompile(`\+49 30`),
	"e-mail of a person":     regexp.MustCompile(`mail\.example`),
	"card of a person":       regexp.MustCompile(`5500 ?0000`),
	"phone of a person":      regexp.MustCompile(`\+33 1`),
	"birthday of a person":   regexp.MustCompile(`1970-02-`),
	"salary of a person":     regexp.MustCompile(`313[345]\d[.,]25`),
	"visits of a person":     regexp.MustCompile(`4242420\d\d`),
	"token of a person":      regexp.MustCompile(`(?i)0badcafe`),
	"secret of a person":     regexp.MustCompile(`(?i)c0ffee0000`),
	"tag of a person":        regexp.MustCompile(`sensitive-tag`),
	"last sight of a person": regexp.MustCompile(`2025-05-05`),
}

// maskedBinary are the same values in the wire's binary format, of person 3.
var maskedBinary = map[string][]byte{
	"visits": binary.BigEndian.AppendUint64(nil, 424242003),
	"token":  fromHex("0badcafe000040008000000000000003"),
	"secret": fromHex("c0ffee000003"),
	// Four base-10000 digits: weight 1, positive, scale 2, of 31340.25.
	"salary": fromHex("0003000100000002" + "0003" + "053c" + "09c4"),
	// Days and microseconds since 2000-01-01.
	"born": binary.BigEndian.AppendUint32(nil, uint32(int32(time.Date(1970, 2, 6, 0, 0, 0, 0, time.UTC).Sub(postgresEpoch).Hours()/24))),
	"seen": binary.BigEndian.AppendUint64(nil, uint64(time.Date(2025, 5, 5, 5, 5, 5, 0, time.UTC).Sub(postgresEpoch).Microseconds())),
}

var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func fromHex(text string) []byte {
	decoded, err := hex.DecodeString(text)
	if err != nil {
		panic(err) // a literal of this file
	}
	return decoded
}

// checkSeen looks for masked values and the target's password in what the
// client was given.
func (c *caller) checkSeen() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen.Bytes()
	if bytes.Contains(seen, []byte(suite.Canary)) {
		c.t.Errorf("the client was given the target's password")
	}
	for what, pattern := range masked {
		if found := pattern.Find(seen); found != nil {
			c.t.Errorf("the client was given the %s: %q", what, found)
		}
	}
}

// searched remembers how far each file has been searched: they only grow.
var searched = searchedFiles{offsets: map[string]int64{}}

type searchedFiles struct {
	mu      sync.Mutex // guards offsets
	offsets map[string]int64
}

// more returns what a file has gained, and enough before it that nothing is cut
// in two.
func (s *searchedFiles) more(path string, overlap int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := max(0, s.offsets[path]-int64(overlap))
	content, err := tail.Since(path, from)
	if err == nil {
		s.offsets[path] = from + int64(len(content))
	}
	return content, err
}

// checkCanary is checklist 49: the target's password is in no log, record or
// object but its Secret. The target's own log is not Doorward's.
func checkCanary(ctx context.Context, t *testing.T, c *caller) {
	t.Helper()
	canary := []byte(suite.Canary)
	for _, dir := range []string{suite.Logs(), suite.Records(), filepath.Join(suite.Dir, "proxies")} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			// Small files of the spool go away while they are searched.
			if err != nil || !entry.Type().IsRegular() {
				return ignoreGone(err)
			}
			content, err := searched.more(path, len(canary))
			if err == nil && bytes.Contains(content, canary) {
				t.Errorf("the target's password is in %s, after %q", path, c.user)
			}
			return ignoreGone(err)
		})
		if err != nil {
			t.Errorf("cannot look for the target's password: %v", err)
		}
	}
	for _, list := range []client.ObjectList{
		&v1alpha1.ConnectionList{}, &v1alpha1.AccessPolicyList{}, &v1alpha1.ApprovalRequestList{}, &v1alpha1.AuditSessionList{},
		&v1alpha1.AuditLogList{}, &v1alpha1.IdentityProviderList{}, &v1alpha1.LogSinkList{}, &corev1.EventList{}, &corev1.ConfigMapList{},
	} {
		if err := suite.Admin.List(ctx, list); err != nil {
			t.Errorf("cannot look for the target's password: %v", err)
			continue
		}
		content, err := json.Marshal(list)
		if err != nil {
			t.Errorf("cannot look for the target's password: %v", err)
		}
		if bytes.Contains(content, canary) {
			t.Errorf("the target's password is in a %T, after %q", list, c.user)
		}
	}
}

// TestSeenIsSearched breaks what checkSeen rests on: the patterns find the
// values that the target holds.
func TestSeenIsSearched(t *testing.T) {
	o := psqlDirect(t, "", "-c", "SELECT * FROM customers WHERE id = 1", "-c", "SELECT * FROM lab.people WHERE id = 3")
	if o.exit != 0 {
		t.Fatal(o)
	}
	for what, pattern := range masked {
		if !pattern.MatchString(o.stdout) {
			t.Errorf("%s: the pattern %q finds nothing in what the target holds:\n%s", what, pattern, o.stdout)
		}
	}
}
