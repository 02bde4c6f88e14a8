// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/test/testcert"
)

// What admins change on purpose: certificates, credentials, and the way back to
// a backup.

func servingSecret(connection string) string { return "doorward-" + connection + "-serving" }

// replaceCertificates has the manager issue new serving certificates.
func (b *bench) replaceCertificates(t *testing.T) map[string]bool {
	t.Helper()
	for _, connection := range []string{local, remote} {
		b.kubectl(t, "-n", namespace, "delete", "secret", servingSecret(connection))
	}
	return nil
}

// newCertificates says which proxy does not show the certificate that is in the Secret.
func (b *bench) newCertificates(ctx context.Context) error {
	for _, connection := range []string{local, remote} {
		var secret corev1.Secret
		if err := b.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: servingSecret(connection)}, &secret); err != nil {
			return err
		}
		block, _ := pem.Decode(secret.Data["tls.crt"])
		if block == nil {
			return fmt.Errorf("secret %q has no certificate", secret.Name)
		}
		if err := b.eachProxy(ctx, connection, func(address, name string) error {
			shown, err := b.shown(ctx, address)
			if err != nil {
				return err
			}
			if !bytes.Equal(shown.Raw, block.Bytes) {
				return fmt.Errorf("proxy %q shows another certificate than that of Secret %q", name, secret.Name)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachProxy asks something of each proxy of a Connection by its own address.
func (b *bench) eachProxy(ctx context.Context, connection string, ask func(address, name string) error) error {
	pods, err := b.pods(ctx, connection)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return fmt.Errorf("connection %q has no proxies", connection)
	}
	for i := range pods {
		if err := ask(net.JoinHostPort(pods[i].Status.PodIP, "5432"), pods[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// shown is the certificate that a proxy shows in direct TLS. Who may be trusted
// is what the load checks all the time.
func (b *bench) shown(ctx context.Context, address string) (*x509.Certificate, error) {
	conn, err := b.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return testcert.Shown(ctx, conn, "postgresql")
}

// replaceCredential changes the role at the target that the proxies log in as:
// the new one is there before the old one goes.
func (b *bench) replaceCredential(t *testing.T) map[string]bool {
	t.Helper()
	for _, connection := range []string{local, remote} {
		next := roles[connection] + "_next"
		if err := b.postgres.Exec(t.Context(), database, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s-next' IN ROLE %s", next, b.password, roles[connection])); err != nil {
			t.Fatal(err)
		}
		b.kubectl(t, "-n", namespace, "patch", "secret", connection+"-credential", "--type=merge", "-p",
			fmt.Sprintf(`{"stringData":{"username":%q,"password":%q}}`, next, b.password+"-next"))
	}
	await(t, "logins at the target as the new roles", b.newCredential)
	for _, name := range roles {
		if err := b.postgres.Exec(t.Context(), database, "ALTER ROLE "+name+" NOLOGIN"); err != nil {
			t.Fatal(err)
		}
	}
	return nil
}

// newCredential says which proxy does not log in with the new credential.
func (b *bench) newCredential(ctx context.Context) error {
	token, err := b.issuer.token(loader, "loaders")
	if err != nil {
		return err
	}
	for _, connection := range []string{local, remote} {
		if err := b.eachProxy(ctx, connection, func(address, name string) error {
			config, err := b.callers(connection, token)
			if err != nil {
				return err
			}
			config.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) { return b.Dial(ctx, network, address) }
			conn, err := pgconn.ConnectConfig(ctx, config)
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			results, err := conn.Exec(ctx, "SELECT session_user").ReadAll()
			if err != nil {
				return err
			}
			if got := string(results[0].Rows[0][0]); got != roles[connection]+"_next" {
				return fmt.Errorf("proxy %q logs in as %q", name, got)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// restoreEtcd takes a backup, changes what was in it, and goes back to it. What
// was changed in between is gone: the proxies must not go on with it.
func (b *bench) restoreEtcd(t *testing.T) map[string]bool {
	t.Helper()
	backup := filepath.Join(b.dir, "etcd.backup")
	if err := b.SnapshotEtcd(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	b.apply(t, latePolicy)
	await(t, "the late policy in force", func(ctx context.Context) error { return b.lateAsks(ctx, true) })
	if err := b.RestoreEtcd(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	await(t, "the late policy out of force", func(ctx context.Context) error { return b.lateAsks(ctx, false) })
	return nil
}

// latePolicy is made behind the backup.
const latePolicy = `apiVersion: doorward.dev/v1alpha1
kind: AccessPolicy
metadata: {name: late, namespace: shop-access}
spec:
  mode: Enforce
  when: []
  subjects: [{kind: Group, name: latecomers, identityProvider: company}]
  connections: [{name: orders-db}]
  rules:
  - {name: all, effect: Allow, actions: [evaluate, session, show, set], resources: ["*"]}
  limits: []
  targetRole: ""
  masks: []
`

// lateAsks logs in as somebody whom the late policy alone lets in.
func (b *bench) lateAsks(ctx context.Context, want bool) error {
	token, err := b.issuer.token("tim", "latecomers")
	if err != nil {
		return err
	}
	return b.eachProxy(ctx, local, func(address, name string) error {
		config, err := b.callers(local, token)
		if err != nil {
			return err
		}
		config.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) { return b.Dial(ctx, network, address) }
		conn, err := pgconn.ConnectConfig(ctx, config)
		var said *pgconn.PgError
		switch {
		case err == nil:
			_ = conn.Close(ctx)
			if !want {
				return fmt.Errorf("proxy %q still lets in whom the late policy names", name)
			}
			return nil
		case errors.As(err, &said) && !want:
			return nil
		default:
			return err
		}
	})
}
