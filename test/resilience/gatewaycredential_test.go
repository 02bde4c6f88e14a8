// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// TestGatewayCredentialRevoked revokes credentials and measures from the API server's
// acceptance to the end of the live session (promise 8; checklist 36). Nobody is let in by
// them afterwards.
func TestGatewayCredentialRevoked(t *testing.T) {
	portal := stacktest.NewPortal(t, world)
	givePolicy(t, stack.Policy("credentials", stack.Users("olga"), talk, readOrders))
	await(t, "a proxy that takes credentials", func(ctx context.Context) error {
		_, config := portal.Issue(t, world.Proxy(), caller{User: "olga"}, v1alpha1.GatewayCredentialToken)
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err == nil {
			_ = conn.Close(ctx)
		}
		return err
	})
	for _, form := range []v1alpha1.GatewayCredentialForm{v1alpha1.GatewayCredentialToken, v1alpha1.GatewayCredentialClientCertificate} {
		t.Run(string(form), func(t *testing.T) {
			var took []time.Duration
			for i := range repetitions {
				credential, config := portal.Issue(t, world.Proxy(), caller{User: "olga"}, form)
				conn, err := pgconn.ConnectConfig(t.Context(), config)
				stacktest.Must(t, err)
				ended := make(chan outcome, 1)
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), stacktest.Timeout)
					defer cancel()
					err := conn.WaitForNotification(ctx)
					ended <- outcome{err: err, at: time.Now()}
				}()
				reason := fmt.Sprintf("lost %d", i)
				accepted := portal.Revoke(t, credential, reason)
				end := <-ended
				var said *pgconn.PgError
				if !errors.As(end.err, &said) {
					t.Fatalf("the session did not end with an ErrorResponse: %v", end.err)
				}
				wants(t, said, codeAdminShutdown, "was revoked: "+reason)
				took = append(took, max(0, end.at.Sub(accepted)))
				if _, err := pgconn.ConnectConfig(t.Context(), config); !errors.As(err, &said) || !strings.Contains(said.Message, "was revoked: "+reason) {
					t.Errorf("who comes back is told %v", err)
				}
			}
			report(t, took)
		})
	}
}
