// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package availability

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/proxy/report"
	"github.com/doorward/doorward/test/pgtest"
	"github.com/doorward/doorward/test/relay"
	"github.com/doorward/doorward/test/stack"
	"github.com/doorward/doorward/test/stack/stacktest"
)

// sleep is what is canceled. The marks tell statements apart at the target.
func sleep(mark string) string {
	return "SELECT pg_sleep(60), count(*), '" + mark + "' FROM orders"
}

// replicas are two proxies of the shop's Connection.
func replicas(t *testing.T) (a, b *stack.Proxy) {
	t.Helper()
	b = stacktest.StartProxy(t, world, stack.ProxyOptions{})
	await(t, "reports of both proxies", func(ctx context.Context) error {
		var reports corev1.ConfigMap
		err := world.Admin.Get(ctx, client.ObjectKey{Namespace: stack.Namespace, Name: report.ConfigMapName(stack.Connection)}, &reports)
		if err == nil && len(reports.Data) < 2 {
			err = fmt.Errorf("%d reports", len(reports.Data))
		}
		return err
	})
	return world.Proxy(), b
}

// running counts the sleeps of a mark that the target runs.
func running(ctx context.Context, mark string) (n int, err error) {
	conn, err := pgx.Connect(ctx, world.DirectDSN())
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' || $1 || '%' AND pid <> pg_backend_pid()", mark).Scan(&n)
	return n, err
}

func awaitRunning(t *testing.T, mark string) {
	t.Helper()
	await(t, "the statement at the target", func(ctx context.Context) error {
		n, err := running(ctx, mark)
		if err == nil && n == 0 {
			err = errors.New("it does not run")
		}
		return err
	})
}

// cancelAt brings a key to a proxy, and waits until the proxy hangs up.
func cancelAt(t *testing.T, p *stack.Proxy, process uint32, secret []byte) {
	t.Helper()
	conn, err := relay.To(p.Address)(t.Context())
	must(t, err)
	defer conn.Close()
	packet := binary.BigEndian.AppendUint32(nil, uint32(12+len(secret)))
	packet = binary.BigEndian.AppendUint32(packet, 80877102)
	packet = append(binary.BigEndian.AppendUint32(packet, process), secret...)
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(stacktest.Timeout))
	if said, err := io.ReadAll(conn); err != nil || len(said) > 0 {
		t.Fatalf("the answer to a cancel request is %q, %v; want silence", said, err)
	}
}

// TestCancelAcrossReplicas is checklist 16: a key that is brought to another
// replica cancels what its session runs, and nothing else does.
func TestCancelAcrossReplicas(t *testing.T) {
	a, b := replicas(t)
	for name, pair := range map[string][2]*stack.Proxy{"one": {a, b}, "other": {b, a}} {
		t.Run(name, func(t *testing.T) {
			runs, gets := pair[0], pair[1]
			conn := login(t, runs)
			mark := "key-" + name
			done := make(chan error, 1)
			go func() {
				_, err := conn.Exec(context.Background(), sleep(mark)).ReadAll()
				done <- err
			}()
			awaitRunning(t, mark)
			// Wrong secrets of the right process, to both.
			secret := conn.SecretKey()
			for i := range 4 {
				wrong := append([]byte(nil), secret...)
				wrong[i] ^= 1 << i
				cancelAt(t, gets, conn.PID(), wrong)
				cancelAt(t, runs, conn.PID(), wrong)
			}
			if n, err := running(t.Context(), mark); err != nil || n != 1 {
				t.Fatalf("after wrong keys %d statements run (%v), want 1", n, err)
			}
			began := time.Now()
			cancelAt(t, gets, conn.PID(), secret)
			err := <-done
			t.Logf("canceled through the other replica in %s", time.Since(began).Round(time.Millisecond))
			var failure *pgconn.PgError
			if !errors.As(err, &failure) || failure.Code != "57014" {
				t.Fatalf("the statement ended with %v, want 57014", err)
			}
			if _, err := conn.Exec(t.Context(), "SELECT 1").ReadAll(); err != nil {
				t.Errorf("the session did not go on: %v", err)
			}
		})
	}
}

// TestCancelReplicaGone: a key whose replica is gone does nothing, and what its
// neighbour runs goes on.
func TestCancelReplicaGone(t *testing.T) {
	a, b := replicas(t)
	gone, stays := login(t, b), login(t, a)
	key := gone.SecretKey()
	done := make(chan error, 1)
	go func() {
		_, err := stays.Exec(context.Background(), sleep("stays")).ReadAll()
		done <- err
	}()
	awaitRunning(t, "stays")
	must(t, b.Kill())
	cancelAt(t, a, gone.PID(), key)
	if n, err := running(t.Context(), "stays"); err != nil || n != 1 {
		t.Errorf("%d statements run (%v), want 1", n, err)
	}
	cancelAt(t, a, stays.PID(), stays.SecretKey())
	if err := <-done; err == nil {
		t.Error("the statement was not canceled by its own key")
	}
}

// TestCancelWhileDraining: sessions that go on after the stop can be canceled,
// through the proxy itself and through others.
func TestCancelWhileDraining(t *testing.T) {
	a, b := replicas(t)
	conn := login(t, b)
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), sleep("drained")).ReadAll()
		done <- err
	}()
	awaitRunning(t, "drained")
	must(t, b.Signal(syscall.SIGTERM))
	await(t, "the stop", func(ctx context.Context) error {
		if b.Ready(ctx) == nil {
			return errors.New("the proxy is still ready")
		}
		return nil
	})
	err := errors.New("it still runs")
	await(t, "the end of the statement", func(context.Context) error {
		// Who was told of the new proxy a moment ago may have to be asked twice.
		cancelAt(t, a, conn.PID(), conn.SecretKey())
		select {
		case err = <-done:
			return nil
		default:
			return err
		}
	})
	var failure *pgconn.PgError
	if !errors.As(err, &failure) || failure.Code != "57014" {
		t.Fatalf("the statement ended with %v, want 57014", err)
	}
}

// balancer sends the first connection to one proxy, and all others to another, as a
// Service may, and returns where it listens.
func balancer(t *testing.T, first, rest *stack.Proxy) (address string) {
	t.Helper()
	var taken atomic.Int32
	between, err := relay.Start(func(ctx context.Context) (net.Conn, error) {
		if taken.Add(1) == 1 {
			return relay.To(first.Address)(ctx)
		}
		return relay.To(rest.Address)(ctx)
	})
	must(t, err)
	t.Cleanup(func() {
		if err := between.Stop(); err != nil {
			t.Error(err)
		}
		if taken.Load() < 2 {
			t.Error("psql did not connect a second time")
		}
	})
	return between.Address()
}

// TestPsqlCtrlC: libpq's own cancel request arrives at the other replica.
func TestPsqlCtrlC(t *testing.T) {
	programs, err := pgtest.BinDir()
	must(t, err)
	a, b := replicas(t)
	token, err := world.Issuer.TokenFor(alice)
	must(t, err)
	dsn := world.PSQL(&stack.Proxy{Address: balancer(t, a, b)})
	ctx, cancel := context.WithTimeout(t.Context(), stacktest.Timeout)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(programs, "psql"), "-X", "-w", "-d", dsn, "-c", sleep("psql"))
	command.Env = append(command.Environ(), "PGPASSWORD="+token)
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	must(t, command.Start())
	awaitRunning(t, "psql")
	must(t, command.Process.Signal(syscall.SIGINT))
	if err := command.Wait(); err == nil || !strings.Contains(said.String(), "canceling statement due to user request") {
		t.Errorf("psql ended with %v and said %q, want that the statement was canceled", err, said.String())
	}
}
