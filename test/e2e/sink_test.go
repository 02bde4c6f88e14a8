// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/servers"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/testcert"
)

// sinkPort is where the receiver listens on the node, which has no other at it.
const sinkPort = 9443

// sink is a receiver of webhooks on the node, which answers once it has the
// records on disk.
type sink struct {
	// records is the file of them, dir its folder, which has nothing else.
	records, dir string
	address      string
	secret, ca   string
}

func startSink(t *testing.T, s *site) *sink {
	t.Helper()
	program, err := servers.Build(t.Context(), "sinks/webhookreceiver")
	if err != nil {
		t.Fatal(err)
	}
	authority, err := testcert.NewCA(sinkName)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(testcert.Request{CommonName: sinkName, IPs: []net.IP{net.ParseIP(s.NodeAddress())}})
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := pair.Write(s.dir, sinkName)
	if err != nil {
		t.Fatal(err)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails, see crypto/rand
	k := &sink{
		address: net.JoinHostPort(s.NodeAddress(), strconv.Itoa(sinkPort)), secret: "whsec_" + base64.StdEncoding.EncodeToString(random),
		ca: string(authority.PEM),
	}
	secrets := s.write(t, "sink-secrets", k.secret)
	k.records = s.write(t, "records/records.jsonl", "")
	k.dir = filepath.Dir(k.records)
	process, err := s.Run(proc.Command{
		Path: program, Args: []string{"-listen", k.address, "-cert", certificate, "-key", key, "-secrets", secrets, "-out", k.records},
		Output: filepath.Join(s.dir, "sink.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Stop() })
	ctx, cancel := context.WithTimeout(t.Context(), stack.ReadyTimeout)
	defer cancel()
	if err := process.WaitReady(ctx, betweenAsks, func(ctx context.Context) error {
		conn, err := s.Dial(ctx, "tcp", k.address)
		if err != nil {
			return err
		}
		return conn.Close()
	}); err != nil {
		t.Fatal(err)
	}
	return k
}

// manifest makes the receiver a LogSink.
func (k *sink) manifest() string {
	return fmt.Sprintf(`apiVersion: doorward.dev/v1alpha1
kind: LogSink
metadata:
  name: %[1]s
spec:
  type: Webhook
  secret: {name: %[1]s}
  tls:
    certificateAuthority: |
%[2]s
  webhook:
    url: https://%[3]s/records
    compression: Gzip
---
apiVersion: v1
kind: Secret
metadata: {name: %[1]s, namespace: %[4]s}
type: doorward.dev/sink-credential
stringData: {signingKey: "%[5]s"}
`, sinkName, indent([]byte(k.ca), 6), k.address, system, k.secret)
}
