// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package blob_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/blob"
	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/servers"
	"github.com/doorward/doorward/test/testcert"
)

// server is a real S3 server with TLS, and its administrator's client.
type server struct {
	path, dir  string
	port       int
	ca         string
	access     string
	secret     string
	process    *proc.Process
	transport  *http.Transport
	admin      *minio.Client
	certs      [2]string
	bucketsHad int
}

// startServer starts a server that ends with the test.
func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), access: "admin", secret: rand.Text()}
	var err error
	if s.path, err = servers.Build(t.Context(), "sinks/s3server"); err != nil {
		t.Fatal(err)
	}
	authority, err := testcert.NewCA("doorward-s3")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(testcert.Request{CommonName: "s3", IPs: []net.IP{net.ParseIP(proc.Loopback)}})
	if err != nil {
		t.Fatal(err)
	}
	s.ca = string(authority.PEM)
	if s.certs[0], s.certs[1], err = pair.Write(s.dir, "server"); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"data", "versions", "iam"} {
		if err := os.Mkdir(filepath.Join(s.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if s.transport, err = (sink.TLS{CA: s.ca}).Transport(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.transport.CloseIdleConnections)
	if s.port, err = proc.FreePort(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	t.Cleanup(func() { s.kill(t) })
	s.admin = s.client(t, s.access, s.secret)
	return s
}

func (s *server) address() string { return net.JoinHostPort(proc.Loopback, strconv.Itoa(s.port)) }

// start starts the process, and waits until it answers.
func (s *server) start(t *testing.T) {
	t.Helper()
	var err error
	s.process, err = proc.Start(proc.Command{
		Path: s.path,
		Args: []string{
			"--port", s.address(), "--cert", s.certs[0], "--key", s.certs[1],
			"--access", s.access, "--secret", s.secret, "--iam-dir", filepath.Join(s.dir, "iam"),
			"--keep-alive", "--quiet", "--health", "/health",
			"posix", "--versioning-dir", filepath.Join(s.dir, "versions"), filepath.Join(s.dir, "data"),
		},
		Output: filepath.Join(s.dir, "server.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: s.transport}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = s.process.WaitReady(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.address()+"/health", http.NoBody)
		if err != nil {
			return err
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", answer.StatusCode)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// kill ends the process as a crash does.
func (s *server) kill(t *testing.T) {
	t.Helper()
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-s.process.Done()
}

func (s *server) client(t *testing.T, access, secret string) *minio.Client {
	t.Helper()
	client, err := minio.New(s.address(), &minio.Options{
		Creds: credentials.NewStaticV4(access, secret, ""), Secure: true, Region: blob.DefaultRegion, Transport: s.transport, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// bucket makes one.
func (s *server) bucket(t *testing.T, locked bool) string {
	t.Helper()
	s.bucketsHad++
	name := fmt.Sprintf("records-%d", s.bucketsHad)
	if err := s.admin.MakeBucket(t.Context(), name, minio.MakeBucketOptions{ObjectLocking: locked}); err != nil {
		t.Fatal(err)
	}
	return name
}

func (s *server) options(bucket string) blob.Options {
	return blob.Options{
		Endpoint: "https://" + s.address(), Bucket: bucket, Prefix: "audit/eu", TLS: sink.TLS{CA: s.ca},
		AccessKeyID: s.access, SecretAccessKey: s.secret, Addressing: blob.Path,
	}
}

func open(t *testing.T, options blob.Options) *blob.Sink {
	t.Helper()
	s, err := blob.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// objects lists a bucket in the order of its keys, all versions where asked.
func (s *server) objects(t *testing.T, bucket string, versions bool) []minio.ObjectInfo {
	t.Helper()
	var all []minio.ObjectInfo
	for o := range s.admin.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: versions}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		all = append(all, o)
	}
	return all
}

// received reads all lines of all objects of a bucket, as its readers do.
func (s *server) received(t *testing.T, bucket string) [][]byte {
	t.Helper()
	var all [][]byte
	for _, o := range s.objects(t, bucket, false) {
		content, err := s.content(t.Context(), bucket, o.Key)
		if err != nil {
			t.Fatalf("object %q: %v", o.Key, err)
		}
		all = append(all, bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))...)
	}
	return all
}

func (s *server) content(ctx context.Context, bucket, key string) ([]byte, error) {
	o, err := s.admin.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if !strings.HasSuffix(key, ".gz") {
		return io.ReadAll(o)
	}
	unzipped, err := gzip.NewReader(o)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(unzipped)
	return content, errors.Join(err, unzipped.Close())
}
