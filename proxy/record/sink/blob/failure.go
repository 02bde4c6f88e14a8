// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"

	"github.com/doorward/doorward/proxy/record/sink"
)

// answerLimit is the number of bytes read of an answer, whose body is empty or
// a short XML error.
const answerLimit = 64 << 10

// bounded passes on of answers what the client needs: a bounded body, and no
// cookies, which it would keep and send back.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Header.Del("Set-Cookie")
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, answerLimit), answer.Body}
	return answer, nil
}

// failed says which object was not put, what the store said, and what to do.
func (s *Sink) failed(ctx context.Context, key string, err error) error {
	said := minio.ToErrorResponse(err)
	cause := err
	var text string
	switch {
	case ctx.Err() != nil:
		cause = errors.Join(context.Cause(ctx), err)
		text = context.Cause(ctx).Error()
	case said.StatusCode != 0:
		text = fmt.Sprintf("status %d: %s: %s", said.StatusCode, s.foreign(said.Code), s.foreign(said.Message))
	default:
		// The URL is the endpoint, bucket and key that the text names anyway.
		if sent := new(url.Error); errors.As(err, &sent) {
			err = sent.Err
		}
		text = s.foreign(err.Error())
	}
	text = fmt.Sprintf("cannot put object %q into bucket %q at %q: %s", key, s.options.Bucket, s.endpoint, text)
	if hint := s.hint(said); hint != "" && ctx.Err() == nil {
		text += ": " + hint
	}
	return &sink.Failure{Text: text, Cause: cause}
}

func (s *Sink) foreign(text string) string {
	return sink.Foreign(text, s.options.SecretAccessKey, s.options.SessionToken)
}

// hint says what to do about the errors that a person must mend.
func (s *Sink) hint(said minio.ErrorResponse) string {
	locks := s.options.LockMode != "" || s.options.LegalHold
	switch {
	case said.StatusCode == 0:
		return ""
	case said.StatusCode >= 300 && said.StatusCode < 400, said.Code == "AuthorizationHeaderMalformed":
		return "redirects are not followed: set the endpoint and the region of the bucket"
	case said.Code == "InvalidAccessKeyId" || said.Code == "SignatureDoesNotMatch" || said.Code == "InvalidToken" || said.Code == "ExpiredToken":
		return "set an access key that the store knows"
	case said.Code == "RequestTimeTooSkewed":
		return "set the clock of the proxy's machine"
	case said.StatusCode == http.StatusForbidden && locks:
		return "the access key needs s3:PutObject, s3:PutObjectRetention and s3:PutObjectLegalHold on the bucket's objects"
	case said.StatusCode == http.StatusForbidden || said.StatusCode == http.StatusUnauthorized:
		return "the access key needs s3:PutObject on the bucket's objects"
	case said.StatusCode == http.StatusNotFound:
		return "make the bucket or correct its name"
	case said.StatusCode == http.StatusBadRequest && locks:
		return "retention and legal hold need a bucket that was made with object lock"
	default:
		return ""
	}
}
