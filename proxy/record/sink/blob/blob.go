// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package blob is the sink that puts records into a bucket of an S3-compatible
// object store. Each batch is one object of JSON lines:
//
//	<prefix>/<log id>/<YYYY>/<MM>/<DD>/<first index>-<last index>.jsonl[.gz]
//
// with indexes of 20 digits and the day, in UTC, of the first record, so that
// keys sort in the order of the log. PutObject is the only request made, so
// that credentials that can do nothing else suffice. The records of a batch
// that is delivered again may come in an object that overlaps another.
package blob

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // Content-MD5 is S3's checksum of a transfer, besides SHA-256
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
)

// sumHeader is the checksum that S3 verifies, keeps with the object and
// returns, in requests and answers.
const sumHeader = "x-amz-checksum-sha256"

// Sink puts objects into one bucket.
type Sink struct {
	options   Options
	endpoint  string // for errors
	client    minio.Core
	transport *http.Transport
}

// New makes a sink. The store is reached by the first Write only.
func New(options Options) (*Sink, error) {
	endpoint, err := options.complete()
	if err != nil {
		return nil, fmt.Errorf("object store sink not usable: %w", err)
	}
	transport, err := options.TLS.Transport()
	if err != nil {
		return nil, fmt.Errorf("object store sink not usable: %w", err)
	}
	client, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(options.AccessKeyID, options.SecretAccessKey, options.SessionToken),
		Secure:       endpoint.Scheme == "https",
		Transport:    bounded{transport},
		Region:       options.Region, // set, so that it is never asked for
		BucketLookup: options.lookup(),
		MaxRetries:   1, // the Shipper retries
	})
	if err != nil {
		return nil, fmt.Errorf("object store sink not usable: endpoint %q: %w", endpoint.Redacted(), err)
	}
	return &Sink{options: options, endpoint: endpoint.Redacted(), client: *client, transport: transport}, nil
}

// Close closes idle connections.
func (s *Sink) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Write implements sink.Sink: the store has answered that it has the object,
// and the checksum it returned, where it did, is the object's.
func (s *Sink) Write(ctx context.Context, batch []record.Record) error {
	if len(batch) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot put records into bucket %q: %w", s.options.Bucket, context.Cause(ctx))
	}
	o, err := s.object(batch)
	if err != nil {
		return fmt.Errorf("cannot put records into bucket %q: %w", s.options.Bucket, err)
	}
	md5Sum := md5.Sum(o.content) //nolint:gosec // see the import
	sum := sha256.Sum256(o.content)
	encoded := base64.StdEncoding.EncodeToString(sum[:])
	options := s.put(o)
	options.UserMetadata[sumHeader] = encoded
	info, err := s.client.PutObject(ctx, s.options.Bucket, o.key, bytes.NewReader(o.content), int64(len(o.content)),
		base64.StdEncoding.EncodeToString(md5Sum[:]), hex.EncodeToString(sum[:]), options)
	switch {
	case err != nil:
		return s.failed(ctx, o.key, err)
	case info.ETag == "":
		return s.failed(ctx, o.key, errors.New("the answer has no ETag, so it is not an object store's: correct the endpoint"))
	case info.ChecksumSHA256 != "" && info.ChecksumSHA256 != encoded:
		return s.failed(ctx, o.key, errors.New("the store returned the checksum of something else"))
	}
	return nil
}

// object is one object to put.
type object struct {
	key         string
	content     []byte
	first, last record.Position
	count       int
}

func (s *Sink) object(batch []record.Record) (object, error) {
	o := object{first: batch[0].Position, last: batch[len(batch)-1].Position, count: len(batch)}
	if o.first.LogID != o.last.LogID {
		return object{}, fmt.Errorf("records are of more than one log: %q, %q", o.first.ID(), o.last.ID())
	}
	head, err := record.Decode(batch[0].JSON)
	if err != nil {
		return object{}, fmt.Errorf("record not readable: %q: %w", o.first.ID(), err)
	}
	size := 0
	for _, r := range batch {
		size += len(r.JSON) + 1
	}
	// Not kept for the next Write: after a failure, the transport may still
	// read from it.
	o.content = make([]byte, 0, size)
	for _, r := range batch {
		if o.content, err = sink.AppendLine(o.content, r, s.options.Encode); err != nil {
			return object{}, err
		}
	}
	o.key = fmt.Sprintf("%s/%s/%020d-%020d.jsonl", o.first.LogID, head.Time.UTC().Format("2006/01/02"), o.first.Index, o.last.Index)
	if s.options.Prefix != "" {
		o.key = s.options.Prefix + "/" + o.key
	}
	if s.options.Compression == sink.Gzip {
		o.key += ".gz"
	}
	if o.content, err = s.options.Compression.Compress(o.content); err != nil {
		return object{}, fmt.Errorf("cannot compress: %w", err)
	}
	return o, nil
}

// put says how an object is kept. A compressed object is not marked as an
// encoding of another: what is downloaded are then the bytes that were summed.
func (s *Sink) put(o object) minio.PutObjectOptions {
	options := minio.PutObjectOptions{
		ContentType:          "application/x-ndjson",
		StorageClass:         s.options.StorageClass,
		DisableContentSha256: true, // signed as one whole by its SHA-256 instead of in chunks
		UserMetadata: map[string]string{
			"doorward-log":     o.first.LogID,
			"doorward-first":   strconv.FormatInt(o.first.Index, 10),
			"doorward-last":    strconv.FormatInt(o.last.Index, 10),
			"doorward-records": strconv.Itoa(o.count),
		},
	}
	if s.options.Compression == sink.Gzip {
		options.ContentType = "application/gzip"
	}
	switch s.options.LockMode {
	case Governance:
		options.Mode = minio.Governance
	case Compliance:
		options.Mode = minio.Compliance
	}
	if s.options.LockMode != "" {
		options.RetainUntilDate = time.Now().AddDate(0, 0, int(s.options.RetentionDays))
	}
	if s.options.LegalHold {
		options.LegalHold = minio.LegalHoldEnabled
	}
	return options
}
