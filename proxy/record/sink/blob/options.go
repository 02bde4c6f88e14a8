// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/doorward/doorward/proxy/record/sink"
)

// Addressing says where the bucket's name goes in a request.
type Addressing string

// Empty lets the endpoint decide: VirtualHost for Amazon and a few others,
// Path for the rest.
const (
	// Path puts the bucket first in the path.
	Path Addressing = "Path"
	// VirtualHost puts it before the endpoint's host name.
	VirtualHost Addressing = "VirtualHost"
)

// LockMode is how object lock retains an object version.
type LockMode string

// Empty sets no retention; the bucket's own default then holds, if it has one.
const (
	// Governance lets those with a special permission delete before the time.
	Governance LockMode = "Governance"
	// Compliance lets nobody delete before the time.
	Compliance LockMode = "Compliance"
)

// DefaultRegion is what requests are signed for where no region is set; most
// stores other than Amazon's take any.
const DefaultRegion = "us-east-1"

// maxRetentionDays is S3's own limit: 100 years.
const maxRetentionDays = 36500

// maxPrefix leaves room for the rest of a key within S3's 1024 bytes.
const maxPrefix = 512

// Options say where objects go and how. They print nothing of themselves.
type Options struct {
	// Endpoint is an http or https URL without path: https://s3.eu-central-1.amazonaws.com.
	Endpoint string
	// Region is what requests are signed for; DefaultRegion where empty.
	Region string
	Bucket string
	// Prefix comes before each key, separated by a slash; empty for none.
	Prefix string
	// AccessKeyID and SecretAccessKey sign the requests, with SessionToken
	// where the credentials are temporary.
	AccessKeyID, SecretAccessKey, SessionToken string
	// TLS is how the endpoint is verified. An http endpoint needs TLS disabled.
	TLS         sink.TLS
	Addressing  Addressing
	Compression sink.Compression
	// LockMode retains each object for RetentionDays from when it is put. The
	// bucket must have been made with object lock.
	LockMode      LockMode
	RetentionDays int32
	// LegalHold keeps each object until somebody lifts the hold.
	LegalHold bool
	// StorageClass is the store's name of one; empty for the bucket's standard.
	StorageClass string
	// Encode makes the lines of an object; nil is sink.Native.
	Encode sink.Encoder
}

// Format keeps the secrets out of whatever prints Options.
func (Options) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[blob sink options]") }

var (
	bucketName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$`)
	regionName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)
	storageClass = regexp.MustCompile(`^[A-Za-z0-9_-]{0,64}$`)
	// prefixParts are segments of letters, digits and what S3 calls safe.
	prefixParts = regexp.MustCompile(`^[A-Za-z0-9!_.*'()=-]+(/[A-Za-z0-9!_.*'()=-]+)*$`)
)

// complete sets what is left to the standard and says what is wrong. The URL
// returned is the endpoint.
func (o *Options) complete() (*url.URL, error) {
	if o.Region == "" {
		o.Region = DefaultRegion
	}
	o.Prefix = strings.Trim(o.Prefix, "/")
	endpoint, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	switch {
	case !bucketName.MatchString(o.Bucket):
		return nil, fmt.Errorf("bucket is no name of 3 to 63 letters, digits, dots and dashes: %q", o.Bucket)
	case !regionName.MatchString(o.Region):
		return nil, fmt.Errorf("region is no name of letters, digits and dashes: %q", o.Region)
	case o.Prefix != "" && !goodPrefix(o.Prefix):
		return nil, fmt.Errorf("prefix has characters that keys must not have, or is longer than %d bytes: %q", maxPrefix, o.Prefix)
	case o.AccessKeyID == "" || o.SecretAccessKey == "":
		return nil, errors.New("credentials are missing: an access key id and a secret access key are needed")
	case o.Addressing != "" && o.Addressing != Path && o.Addressing != VirtualHost:
		return nil, fmt.Errorf("addressing is neither %q nor %q: %q", Path, VirtualHost, o.Addressing)
	case o.Compression.Check() != nil:
		return nil, o.Compression.Check()
	case !storageClass.MatchString(o.StorageClass):
		return nil, fmt.Errorf("storage class is no name of one: %q", o.StorageClass)
	}
	return endpoint, o.checkLock()
}

// endpoint reads the endpoint's URL and holds it against TLS.
func (o *Options) endpoint() (*url.URL, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("endpoint is not an http or https URL of a host, without path, query and user")
	}
	switch {
	case u.Scheme == "https" && !o.TLS.Disabled, u.Scheme == "http" && o.TLS.Disabled:
		return u, nil
	case u.Scheme == "http":
		return nil, fmt.Errorf("endpoint is not encrypted: %q: use https, or disable TLS to send records in the clear", u.Redacted())
	case u.Scheme == "https":
		return nil, fmt.Errorf("endpoint contradicts the TLS settings: %q: TLS is disabled", u.Redacted())
	default:
		return nil, fmt.Errorf("endpoint is neither http nor https: scheme %q", u.Scheme)
	}
}

func (o *Options) checkLock() error {
	switch o.LockMode {
	case "":
		if o.RetentionDays != 0 {
			return fmt.Errorf("retention is without a lock mode: %d days: set %q or %q", o.RetentionDays, Governance, Compliance)
		}
	case Governance, Compliance:
		if o.RetentionDays < 1 || o.RetentionDays > maxRetentionDays {
			return fmt.Errorf("retention is not from 1 to %d days: %d", maxRetentionDays, o.RetentionDays)
		}
	default:
		return fmt.Errorf("lock mode is neither %q nor %q: %q", Governance, Compliance, o.LockMode)
	}
	return nil
}

// goodPrefix refuses also dots that clients resolve as parents.
func goodPrefix(prefix string) bool {
	if len(prefix) > maxPrefix || !prefixParts.MatchString(prefix) {
		return false
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return true
}

func (o *Options) lookup() minio.BucketLookupType {
	switch o.Addressing {
	case Path:
		return minio.BucketLookupPath
	case VirtualHost:
		return minio.BucketLookupDNS
	default:
		return minio.BucketLookupAuto
	}
}
