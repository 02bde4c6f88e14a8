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
	"sync"
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
	"github.com/doorward/doorward/test/stack"
)

// sleep is what is canceled. The marks tell statements apart at the target.
func sleep(mark string) string {
	return "SELECT pg_sleep(60), count(*), '" + mark + "' FROM orders"
}

// replicas are two proxies of the shop's Connection.
func replicas(t *testing.T) (a, b *stack.Proxy) {
	t.Helper()
	port, err := freePort(t)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	b, err = world.StartProxy(ctx, stack.ProxyOptions{
		Connection: stack.Connection, Port: port, Instance: fmt.Sprintf("%s-%d", stack.Connection, port),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop() })
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

func freePort(t *testing.T) (int, error) {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil //nolint:forcetypeassert // of a TCP listener
}

// running counts the sleeps of a mark that the target runs.
func running(ctx context.Context, mark string) (n int, err error) {
	conn, err := pgx.Connect(ctx, world.Postgres.DSN(stack.Role, world.Canary, stack.Database))
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
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	packet := binary.BigEndian.AppendUint32(nil, uint32(12+len(secret)))
	packet = binary.BigEndian.AppendUint32(packet, 80877102)
	packet = append(binary.BigEndian.AppendUint32(packet, process), secret...)
	if _, err := conn.Write(packet); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(testTimeout))
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
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
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
	if err := b.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
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
// Service may.
func balancer(t *testing.T, first, rest *stack.Proxy) (port int) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var taken atomic.Int32
	var pumps sync.WaitGroup
	pumps.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			to := rest
			if taken.Add(1) == 1 {
				to = first
			}
			pumps.Go(func() { pump(t, conn, to.Address) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		pumps.Wait()
		if taken.Load() < 2 {
			t.Error("psql did not connect a second time")
		}
	})
	return listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of a TCP listener
}

func pump(t *testing.T, conn net.Conn, address string) {
	t.Helper()
	defer conn.Close()
	var dialer net.Dialer
	to, err := dialer.DialContext(context.Background(), "tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer to.Close()
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(to, conn)
		_ = to.(*net.TCPConn).CloseWrite() //nolint:forcetypeassert // of a TCP dial
	})
	_, _ = io.Copy(conn, to)
	_ = conn.Close()
	both.Wait()
}

// TestPsqlCtrlC: libpq's own cancel request arrives at the other replica.
func TestPsqlCtrlC(t *testing.T) {
	programs, err := pgtest.BinDir()
	if err != nil {
		t.Fatal(err)
	}
	a, b := replicas(t)
	dsn := world.PSQL(&stack.Proxy{Address: fmt.Sprintf("localhost:%d", balancer(t, a, b))})
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(programs, "psql"), "-X", "-w", "-d", dsn, "-c", sleep("psql"))
	command.Env = append(command.Environ(), "PGPASSWORD="+token(t))
	var said strings.Builder
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, "psql")
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil || !strings.Contains(said.String(), "canceling statement due to user request") {
		t.Errorf("psql ended with %v and said %q, want that the statement was canceled", err, said.String())
	}
}
