// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/hack/issuer"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// credential measures how soon one gateway credential that is revoked is good at no Connection
// any more, and how soon the sessions that rest on it end.
func credential(t *testing.T, s *scene, proxies []*stack.Proxy) {
	t.Helper()
	stacktest.Create(t, world, everywhereFor("live", stack.Users(s.user)))
	portal := stacktest.NewPortal(t, world)
	var last sample
	for i := range s.size.changes + 1 {
		credential, config := portal.Issue(t, proxies[0], issuer.Request{User: s.user}, v1alpha1.GatewayCredentialToken)
		ended := make(chan answer, len(proxies))
		for _, proxy := range proxies {
			conn := withCredential(t, proxy, config)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), stacktest.Timeout)
				defer cancel()
				err := conn.WaitForNotification(ctx)
				ended <- answer{err: err, at: time.Now()}
			}()
		}
		// What the manager does every second must not fall on each change alike.
		<-time.After(time.Duration(rand.Int64N(int64(time.Second))))
		mark, reason := time.Now(), fmt.Sprintf("lost %d", i)
		accepted := portal.Revoke(t, credential, reason)
		times := s.fleet.await(t, mark, func(n *snapshot.Snapshot) bool {
			return slices.ContainsFunc(n.Login.Revoked, func(r snapshot.Revoked) bool { return r.ID == credential.Name })
		})
		var felt []time.Time
		for range proxies {
			end := <-ended
			var said *pgconn.PgError
			if !errors.As(end.err, &said) || !strings.Contains(said.Message, "was revoked: "+reason) {
				t.Fatalf("a session with the credential ended otherwise: %v", end.err)
			}
			felt = append(felt, end.at)
		}
		if i == 0 && s.size.changes > 1 {
			continue // the manager is busy with what was created for it
		}
		last.each.add(accepted, times...)
		last.last.add(accepted, slices.MaxFunc(times, time.Time.Compare))
		last.felt.add(accepted, felt...)
	}
	s.out.add(t, "GatewayCredential revoked", "a proxy has it", last.each)
	s.out.add(t, "", fmt.Sprintf("the last of %d has it", len(s.fleet.watchers)), last.last)
	s.out.add(t, "", "a session ends", last.felt)
}

// withCredential is a session at a proxy that has heard of the credential's issuer.
func withCredential(t *testing.T, proxy *stack.Proxy, as *pgconn.Config) *pgconn.PgConn {
	t.Helper()
	config, err := world.Config(proxy, issuer.Request{User: "nobody"})
	stacktest.Must(t, err)
	config.Password = as.Password
	var conn *pgconn.PgConn
	stacktest.Await(t, "a session by the credential", func(ctx context.Context) (err error) {
		conn, err = pgconn.ConnectConfig(ctx, config)
		return err
	})
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
