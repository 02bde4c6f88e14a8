// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink_test

import (
	"crypto/tls"
	"testing"

	"github.com/doorward/doorward/proxy/record/sink"
)

// TestTransport is checklist 25: what an environment variable names is not on
// the way of records, and a server is verified.
func TestTransport(t *testing.T) {
	transport, err := sink.TLS{ServerName: "logs.example.com"}.Transport()
	if err != nil {
		t.Fatal(err)
	}
	if transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
	c := transport.TLSClientConfig
	if c == nil || c.InsecureSkipVerify || c.MinVersion < tls.VersionTLS12 || c.ServerName != "logs.example.com" {
		t.Errorf("TLS settings %+v", c)
	}
	if _, err := (sink.TLS{CA: "x"}).Transport(); err == nil {
		t.Error("authorities that cannot be read were taken for none")
	}
}
