// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"

	"github.com/doorward/doorward/proxy/protocol/postgres"
	"github.com/doorward/doorward/proxy/snapshot"
	"github.com/doorward/doorward/test/pgtest"
)

// Postgres is a Connection to databases of a server, as its superuser.
func Postgres(target *pgtest.Server, databases ...string) Config {
	return Config{
		Protocol: postgres.New(), Options: map[string]any{"databases": databases},
		Target:     snapshot.Target{Host: target.Host, Port: int32(target.Port)},
		TLS:        snapshot.TLS{Mode: "VerifyFull", CA: string(target.CAPEM)},
		Credential: map[string][]byte{"username": []byte(pgtest.Superuser), "password": []byte(target.Password)},
	}
}

// DSN is a connection string. Any user is taken, and any password but none.
func (g *Gateway) DSN(database string) string {
	return fmt.Sprintf("host=%s port=%d user=%s password=token dbname=%s sslmode=verify-full sslrootcert=%s",
		g.Host, g.Port, pgtest.Superuser, database, g.CAPath)
}
