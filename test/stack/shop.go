// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/proc"
)

//go:embed shop/shop.sql
var shopSQL string

//go:embed shop/objects.yaml
var shopObjects string

//go:embed shop/people.yaml
var shopPeople string

// seed makes the shop's role and database at the target.
func (s *Stack) seed(ctx context.Context) error {
	if err := s.Postgres.Exec(ctx,
		fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", Role, s.Canary),
		fmt.Sprintf("CREATE DATABASE %s OWNER %s", Database, Role),
	); err != nil {
		return err
	}
	return s.ExecDirect(ctx, shopSQL)
}

// DirectDSN is a connection string to the shop past the proxy, as the shared account.
func (s *Stack) DirectDSN() string { return s.Postgres.DSN(Role, s.Canary, Database) }

// ExecDirect executes statements in the shop past the proxy, as the shared account.
func (s *Stack) ExecDirect(ctx context.Context, statements string) error {
	conn, err := pgconn.Connect(ctx, s.DirectDSN())
	if err != nil {
		return fmt.Errorf("cannot reach the shop's database: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statements).ReadAll(); err != nil {
		return fmt.Errorf("cannot execute in the shop: %w", err)
	}
	return nil
}

// installShop creates all objects of the shop, credential included.
func (s *Stack) installShop(ctx context.Context) error {
	objects := []client.Object{
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: Connection + "-ca"},
			Data:       map[string]string{"ca.crt": string(s.Postgres.CAPEM)},
		},
		s.CredentialSecret(Connection+"-credential", Connection, s.Canary),
	}
	for _, object := range objects {
		if err := s.Admin.Create(ctx, object); err != nil {
			return fmt.Errorf("cannot create %T %q: %w", object, object.GetName(), err)
		}
	}
	port := s.options.ProxyPort
	if port == 0 {
		var err error
		if port, err = proc.FreePort(ctx); err != nil {
			return err
		}
		s.options.ProxyPort = port
	}
	manifest := os.Expand(shopObjects, func(name string) string {
		switch name {
		case "TARGET_PORT":
			return strconv.Itoa(s.Postgres.Port)
		case "PROXY_PORT":
			return strconv.Itoa(port)
		case "MAX_STALENESS_SECONDS":
			return strconv.Itoa(s.options.MaxStalenessSeconds)
		case "SINK_DIR":
			return s.Records()
		}
		return ""
	})
	return s.Apply(ctx, manifest, shopPeople, s.Issuer.identityProvider())
}

// CredentialSecret makes a credential that may be sent to the shop's target only.
func (s *Stack) CredentialSecret(name, connection, password string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Type:       "doorward.dev/credential",
		StringData: map[string]string{
			"username": Role, "password": password, "connection": connection,
			"addresses": net.JoinHostPort(s.Postgres.Host, strconv.Itoa(s.Postgres.Port)),
		},
	}
}

// Apply applies manifests as the cluster's admin.
func (s *Stack) Apply(ctx context.Context, manifests ...string) error {
	path := filepath.Join(s.Dir, "apply.yaml")
	if err := os.WriteFile(path, []byte(strings.Join(manifests, "\n---\n")), 0o600); err != nil {
		return fmt.Errorf("cannot write manifests: %w", err)
	}
	_, err := s.Control.Kubectl(ctx, s.Control.Direct, "apply", "-f", path)
	return err
}
