// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package blob_test

import (
	"crypto/rand"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/blob"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
	"github.com/doorward/doorward/test/testcert"
)

// TestWriteOnly: credentials that can put objects and do nothing else suffice;
// those that cannot are told what they lack.
func TestWriteOnly(t *testing.T) {
	s := startServer(t)
	bucket := s.bucket(t, true)
	access, secret := "writer", rand.Text()
	out, err := exec.CommandContext(t.Context(), s.path, "admin", "--allow-insecure", "--endpoint-url", "https://"+s.address(),
		"--access", s.access, "--secret", s.secret, "create-user", "--access", access, "--secret", secret, "--role", "user").CombinedOutput()
	if err != nil {
		t.Fatalf("cannot make a user: %v: %s", err, out)
	}
	options := s.options(bucket)
	options.AccessKeyID, options.SecretAccessKey = access, secret
	options.LockMode, options.RetentionDays, options.LegalHold = blob.Compliance, 1, true
	writer := open(t, options)
	if err := writer.Write(t.Context(), sinktest.Records(0, 3)); err == nil || !strings.Contains(err.Error(), "s3:PutObjectRetention") {
		t.Errorf("Write without rights: %v, want an error that names them", err)
	}

	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":[%q]},
		"Action":["s3:PutObject","s3:PutObjectRetention","s3:PutObjectLegalHold"],"Resource":["arn:aws:s3:::%s/*"]}]}`, access, bucket)
	if err := s.admin.SetBucketPolicy(t.Context(), bucket, policy); err != nil {
		t.Fatal(err)
	}
	if err := writer.Write(t.Context(), sinktest.Records(0, 3)); err != nil {
		t.Errorf("Write with nothing but the right to put: %v", err)
	}
	key := s.objects(t, bucket, false)[0].Key
	client := s.client(t, access, secret)
	if _, err := client.StatObject(t.Context(), bucket, key, minio.StatObjectOptions{}); err == nil {
		t.Error("the writer can read what it wrote: the test proves nothing")
	}
}

// TestUnknownServer: a server that nobody vouches for gets no record.
func TestUnknownServer(t *testing.T) {
	s := startServer(t)
	other, err := testcert.NewCA("other")
	if err != nil {
		t.Fatal(err)
	}
	for name, tls := range map[string]sink.TLS{
		"OtherAuthority": {CA: string(other.PEM)}, "SystemRoots": {}, "OtherName": {CA: s.ca, ServerName: "s3.example.com"},
	} {
		options := s.options(s.bucket(t, false))
		options.TLS = tls
		if err := open(t, options).Write(t.Context(), sinktest.Records(0, 1)); err == nil || !strings.Contains(err.Error(), "x509") {
			t.Errorf("%s: Write: %v, want an error about the certificate", name, err)
		}
	}
}
