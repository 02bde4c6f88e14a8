// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/access"
)

// checkAttrs asks whether a target is what the Connection wants, as libpq does
// for target_session_attrs: from what it reports at the start (version 14 and
// newer), else by a query. asked says that the client itself wants its
// transactions to be read-only, which says nothing of the target.
func checkAttrs(ctx context.Context, conn *pgconn.PgConn, want string, asked bool) error {
	if want == attrsAny || want == attrsPreferStandby {
		return nil
	}
	standby, err := reported(ctx, conn, "in_hot_standby", "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END")
	if err != nil {
		return err
	}
	var fits bool
	switch want {
	case attrsPrimary:
		fits = !standby
	case attrsStandby:
		fits = standby
	default:
		readOnly := standby
		if !standby && !asked {
			if readOnly, err = reported(ctx, conn, "default_transaction_read_only", "SHOW transaction_read_only"); err != nil {
				return err
			}
		}
		fits = readOnly == (want == attrsReadOnly)
	}
	if !fits {
		return access.Elsewhere(&access.Refusal{
			Reason: access.ReasonUnavailable, Code: stateCannotConnectNow,
			Message: fmt.Sprintf("no target of the Connection is what it wants (targetSessionAttrs: %s)", want),
			Hint:    "Try again later; ask an admin to look at spec.targets and spec.options.targetSessionAttrs.",
		})
	}
	return nil
}

// reported reads a setting that is on or off.
func reported(ctx context.Context, conn *pgconn.PgConn, name, query string) (bool, error) {
	value := conn.ParameterStatus(name)
	if value == "" {
		rows, err := queryText(ctx, conn, query)
		if err != nil {
			return false, err
		}
		if len(rows) != 1 || len(rows[0]) != 1 {
			return false, fmt.Errorf("%w: it does not say its %s", errGreeting, name)
		}
		value = rows[0][0]
	}
	return value == "on", nil
}

// bindable says whether tls-server-end-point is defined for certificates that
// are signed so (RFC 5929, section 4.1).
func bindable(algorithm x509.SignatureAlgorithm) bool {
	return slices.Contains([]x509.SignatureAlgorithm{
		x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256,
		x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384, x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512,
	}, algorithm)
}
