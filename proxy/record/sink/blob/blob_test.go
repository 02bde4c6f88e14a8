// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package blob_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/blob"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// destination is a bucket that the server breaks with.
func (s *server) destination(bucket string, change func(*blob.Options)) sinktest.Destination {
	return sinktest.Destination{
		New: func(t *testing.T) sink.Sink {
			t.Helper()
			options := s.options(bucket)
			if change != nil {
				change(&options)
			}
			return open(t, options)
		},
		Received: func(t *testing.T) [][]byte {
			t.Helper()
			return s.received(t, bucket)
		},
		Break: func(t *testing.T) func() {
			t.Helper()
			s.kill(t)
			return func() { s.start(t) }
		},
	}
}

func TestConformance(t *testing.T) {
	s := startServer(t)
	for name, change := range map[string]func(*blob.Options){
		"Plain": nil,
		"Gzip":  func(o *blob.Options) { o.Compression = sink.Gzip },
		"Locked": func(o *blob.Options) {
			o.LockMode, o.RetentionDays, o.LegalHold = blob.Governance, 1, true
		},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Destination {
				t.Helper()
				return s.destination(s.bucket(t, name == "Locked"), change)
			})
		})
	}
}

// TestOutage kills the server under load.
func TestOutage(t *testing.T) {
	s := startServer(t)
	sinktest.Outage(t, s.destination(s.bucket(t, false), func(o *blob.Options) { o.Compression = sink.Gzip }))
}

func TestObject(t *testing.T) {
	s := startServer(t)
	bucket := s.bucket(t, false)
	if err := open(t, s.options(bucket)).Write(t.Context(), sinktest.Records(7, 12)); err != nil {
		t.Fatal(err)
	}
	key := "audit/eu/" + sinktest.LogID + "/2023/11/14/00000000000000000007-00000000000000000011.jsonl"
	info, err := s.admin.StatObject(t.Context(), bucket, key, minio.StatObjectOptions{Checksum: true})
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := base64.StdEncoding.DecodeString(info.ChecksumSHA256); err != nil || len(sum) != 32 {
		t.Errorf("checksum %q kept with the object, want a SHA-256", info.ChecksumSHA256)
	}
	if info.ContentType != "application/x-ndjson" {
		t.Errorf("content type %q", info.ContentType)
	}
	got := map[string]string{}
	for name, value := range info.UserMetadata {
		got[strings.ToLower(name)] = value
	}
	want := map[string]string{"doorward-log": sinktest.LogID, "doorward-first": "7", "doorward-last": "11", "doorward-records": "5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata: -want, +got:\n%s", diff)
	}
}

// TestRetention is checklist 45 at the object store: while its time runs, no
// version that was put can be deleted, and an overwrite leaves it as it was.
func TestRetention(t *testing.T) {
	s := startServer(t)
	bucket := s.bucket(t, true)
	options := s.options(bucket)
	options.LockMode, options.RetentionDays, options.LegalHold = blob.Compliance, 30, true
	if err := open(t, options).Write(t.Context(), sinktest.Records(0, 3)); err != nil {
		t.Fatal(err)
	}
	o := s.objects(t, bucket, true)[0]

	info, err := s.admin.StatObject(t.Context(), bucket, o.Key, minio.StatObjectOptions{VersionID: o.VersionID})
	if err != nil {
		t.Fatal(err)
	}
	lock := func(name string) string { return info.Metadata.Get("X-Amz-Object-Lock-" + name) }
	until, err := time.Parse(time.RFC3339, lock("Retain-Until-Date"))
	if err != nil || time.Until(until) < 29*24*time.Hour || time.Until(until) > 31*24*time.Hour {
		t.Errorf("retained until %s, %v", until, err)
	}
	if lock("Mode") != "COMPLIANCE" || lock("Legal-Hold") != "ON" {
		t.Errorf("lock mode %q, legal hold %q", lock("Mode"), lock("Legal-Hold"))
	}

	gone := minio.LegalHoldDisabled
	if err := s.admin.PutObjectLegalHold(t.Context(), bucket, o.Key, minio.PutObjectLegalHoldOptions{VersionID: o.VersionID, Status: &gone}); err != nil {
		t.Fatal(err)
	}
	// Even the administrator, with the bypass that Governance has, is refused.
	err = s.admin.RemoveObject(t.Context(), bucket, o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID, GovernanceBypass: true})
	if err == nil {
		t.Error("a version under Compliance retention was deleted")
	}
	t.Logf("delete of the version: %v", err)
	sooner, compliance := time.Now().Add(time.Hour), minio.Compliance
	err = s.admin.PutObjectRetention(t.Context(), bucket, o.Key, minio.PutObjectRetentionOptions{
		VersionID: o.VersionID, Mode: &compliance, RetainUntilDate: &sooner, GovernanceBypass: true,
	})
	if err == nil {
		t.Error("Compliance retention was shortened")
	}
	t.Logf("shorter retention: %v", err)

	forged := strings.NewReader("{}\n")
	_, err = s.admin.PutObject(t.Context(), bucket, o.Key, forged, forged.Size(), minio.PutObjectOptions{SendContentMd5: true})
	t.Logf("overwrite: %v", err)
	version, err := s.admin.GetObject(t.Context(), bucket, o.Key, minio.GetObjectOptions{VersionID: o.VersionID})
	if err != nil {
		t.Fatal(err)
	}
	defer version.Close()
	info, err = version.Stat()
	if err != nil || info.ETag != o.ETag || info.Size != o.Size {
		t.Errorf("the version is not what was put: %+v, %v", info, err)
	}
}

// TestLockNeedsLockedBucket: records that would not be retained are not accepted.
func TestLockNeedsLockedBucket(t *testing.T) {
	s := startServer(t)
	options := s.options(s.bucket(t, false))
	options.LockMode, options.RetentionDays = blob.Compliance, 30
	err := open(t, options).Write(t.Context(), sinktest.Records(0, 3))
	if err == nil || !strings.Contains(err.Error(), "made with object lock") {
		t.Errorf("Write: %v, want an error that says how the bucket must be made", err)
	}
}
