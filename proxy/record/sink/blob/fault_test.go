// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package blob_test

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/proxy/record"
	"github.com/doorward/doorward/proxy/record/sink"
	"github.com/doorward/doorward/proxy/record/sink/blob"
	"github.com/doorward/doorward/proxy/record/sink/sinktest"
)

const (
	canarySecret = "canary-secret-access-key"
	canaryToken  = "canary-session-token"
)

// fake starts a store in the clear that answers with handler.
func fake(t *testing.T, handler http.HandlerFunc) blob.Options {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return blob.Options{
		Endpoint: s.URL, Bucket: "records", TLS: sink.TLS{Disabled: true}, Addressing: blob.Path,
		AccessKeyID: "id", SecretAccessKey: canarySecret, SessionToken: canaryToken,
	}
}

// refuse answers as S3 does.
func refuse(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	}
}

// accept answers as S3 does, with a checksum.
func accept(sum string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"abc"`)
		if sum != "" {
			w.Header().Set("x-amz-checksum-sha256", sum)
		}
	}
}

// hangUp closes the connection after a part of the request, or of the answer.
func hangUp(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 10))
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(connection, answer)
		_ = connection.Close()
	}
}

func TestFaults(t *testing.T) {
	cases := map[string]struct {
		reason  string
		handler http.HandlerFunc
		change  func(*blob.Options)
		want    string
	}{
		"ServerError":  {reason: "the Shipper tries again", handler: refuse(500, "InternalError", "again"), want: `status 500: "InternalError": "again"`},
		"SlowDown":     {reason: "the Shipper tries again", handler: refuse(503, "SlowDown", "slower"), want: "status 503"},
		"Forbidden":    {reason: "a missing right is named", handler: refuse(403, "AccessDenied", "no"), want: "needs s3:PutObject on"},
		"Unauthorized": {reason: "a missing right is named", handler: refuse(401, "AccessDenied", "no"), want: "needs s3:PutObject on"},
		"LockForbidden": {
			reason: "retention needs a right of its own", handler: refuse(403, "AccessDenied", "no"), want: "s3:PutObjectRetention",
			change: func(o *blob.Options) { o.LockMode, o.RetentionDays = blob.Compliance, 1 },
		},
		"BadKey":      {reason: "a wrong key is named", handler: refuse(403, "InvalidAccessKeyId", "no"), want: "access key that the store knows"},
		"Clock":       {reason: "a wrong clock is named", handler: refuse(403, "RequestTimeTooSkewed", "no"), want: "clock"},
		"NoBucket":    {reason: "a missing bucket is named", handler: refuse(404, "NoSuchBucket", "no"), want: "make the bucket"},
		"TooLarge":    {reason: "what is too large is not dropped", handler: refuse(413, "EntityTooLarge", "no"), want: "status 413"},
		"NotXML":      {reason: "any server may answer", handler: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "teapot", http.StatusTeapot) }, want: "teapot"},
		"NotAStore":   {reason: "a web page's 200 accepts nothing", handler: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello</html>") }, want: "no ETag"},
		"NoContent":   {reason: "only 200 is S3's word", handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, want: "cannot put"},
		"OtherSum":    {reason: "something else was stored", handler: accept("AAAA"), want: "checksum of something else"},
		"HangUp":      {reason: "no answer accepts nothing", handler: hangUp(""), want: "cannot put"},
		"HalfAnswer":  {reason: "half an answer accepts nothing", handler: hangUp("HTTP/1.1 200 OK\r\nETa"), want: "cannot put"},
		"EndlessBody": {reason: "an answer is read within bounds", handler: endless, want: "status 500"},
		"Echo": {
			reason:  "checklist 47, 48: secrets that come back, and escape sequences, are not shown",
			handler: refuse(400, "Bad", "token "+canaryToken+" of "+canarySecret+"&#x202e; \n\t"+strings.Repeat("x", 9000)), want: "token [redacted] of [redacted]",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			options := fake(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				tc.handler(w, r)
			})
			if tc.change != nil {
				tc.change(&options)
			}
			err := open(t, options).Write(t.Context(), sinktest.Records(0, 5))
			if err == nil {
				t.Fatalf("%s: accepted", tc.reason)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%s: %d requests in one Write; to try again is the Shipper's", tc.reason, n)
			}
			text := err.Error()
			for _, part := range []string{tc.want, options.Endpoint, `"records"`, "00000000000000000000-00000000000000000004"} {
				if !strings.Contains(text, part) {
					t.Errorf("%s: %q does not say %q", tc.reason, text, part)
				}
			}
			if strings.Contains(text, "canary") || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || len(text) > 1500 {
				t.Errorf("%s: not fit to show, or too long: %q", tc.reason, text)
			}
		})
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusInternalServerError)
	for r.Context().Err() == nil {
		if _, err := w.Write(make([]byte, 1<<16)); err != nil {
			return
		}
	}
}

// TestNeverAnswers: Write ends with its context.
func TestNeverAnswers(t *testing.T) {
	release := make(chan struct{})
	options := fake(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := open(t, options).Write(ctx, sinktest.Records(0, 5))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 30*time.Second {
		t.Errorf("Write: %v after %s, want %v soon", err, time.Since(began), context.DeadlineExceeded)
	}
}

// TestNoRedirect is checklist 25: records go where the endpoint says and
// nowhere else.
func TestNoRedirect(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		options := fake(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/x", status) })
		err := open(t, options).Write(t.Context(), sinktest.Records(0, 1))
		if err == nil || !strings.Contains(err.Error(), "redirects are not followed") {
			t.Errorf("status %d: %v, want an error that says that redirects are not followed", status, err)
		}
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("%d requests followed a redirect", n)
	}
}

// TestRequest: one PUT and nothing else, with all checksums that S3 knows.
func TestRequest(t *testing.T) {
	requests := make(chan *http.Request, 10)
	bodies := make(chan []byte, 10)
	options := fake(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- body
		http.SetCookie(w, &http.Cookie{Name: "track", Value: "1"})
		accept("")(w, r)
	})
	options.StorageClass, options.Region = "STANDARD_IA", "eu-central-1"
	options.LockMode, options.RetentionDays, options.LegalHold = blob.Governance, 7, true
	s := open(t, options)
	for range 2 {
		if err := s.Write(t.Context(), sinktest.Records(3, 5)); err != nil {
			t.Fatal(err)
		}
	}
	<-requests
	<-bodies
	r, body := <-requests, <-bodies
	if len(requests) > 0 {
		t.Error("more than one request for a batch")
	}
	md5Sum, sum := md5.Sum(body), sha256.Sum256(body)
	got := map[string]string{}
	for _, name := range []string{"Content-Md5", "X-Amz-Content-Sha256", "X-Amz-Checksum-Sha256", "X-Amz-Storage-Class", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Legal-Hold", "X-Amz-Security-Token", "Cookie"} {
		got[name] = r.Header.Get(name)
	}
	want := map[string]string{
		"Content-Md5":                  base64.StdEncoding.EncodeToString(md5Sum[:]),
		"X-Amz-Content-Sha256":         hex.EncodeToString(sum[:]),
		"X-Amz-Checksum-Sha256":        base64.StdEncoding.EncodeToString(sum[:]),
		"X-Amz-Storage-Class":          "STANDARD_IA",
		"X-Amz-Object-Lock-Mode":       "GOVERNANCE",
		"X-Amz-Object-Lock-Legal-Hold": "ON",
		"X-Amz-Security-Token":         canaryToken,
		"Cookie":                       "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers: -want, +got:\n%s", diff)
	}
	if r.Method != http.MethodPut || !strings.HasPrefix(r.URL.Path, "/records/"+sinktest.LogID+"/") || !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/s3/") {
		t.Errorf("request %s %s, %s", r.Method, r.URL, r.Header.Get("Authorization"))
	}
}

// TestRefusesRecords: what cannot be put whole is not put in part.
func TestRefusesRecords(t *testing.T) {
	var put atomic.Int64
	options := fake(t, func(http.ResponseWriter, *http.Request) { put.Add(1) })
	options.Encode = func(dst []byte, r record.Record) ([]byte, error) {
		if r.Position.Index == 3 {
			return nil, errors.New("boom")
		}
		return append(dst, r.JSON...), nil
	}
	other := sinktest.Records(1, 2)[0]
	other.Position.LogID = "ffffffffffffffffffffffffffffffff"
	for name, tc := range map[string]struct {
		batch []record.Record
		want  string
	}{
		"Encoder":    {sinktest.Records(0, 5), sinktest.LogID + "/3"},
		"TwoLogs":    {append(sinktest.Records(0, 1), other), "more than one log"},
		"Unreadable": {[]record.Record{{Position: record.Position{LogID: sinktest.LogID}, JSON: []byte("{")}}, sinktest.LogID + "/0"},
	} {
		if err := open(t, options).Write(t.Context(), tc.batch); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error that says %q", name, err, tc.want)
		}
	}
	if n := put.Load(); n > 0 {
		t.Errorf("%d objects were put", n)
	}
}
