// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"net"
	"net/http"
	"time"
)

// Transport returns what sinks over HTTP talk through: HTTP/1.1, with TLS
// verified in full unless it is disabled, never through a proxy that the
// environment names, connections kept for the next batch. Its user bounds
// requests by their contexts, does not follow redirects, and closes idle
// connections in the end.
func (t TLS) Transport() (*http.Transport, error) {
	config, err := t.Config()
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    1, // Writes come one at a time
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}
