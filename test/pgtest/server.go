// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/doorward/doorward/test/proc"
	"github.com/doorward/doorward/test/testcert"
)

const (
	// Superuser is the role initdb makes.
	Superuser = "postgres"
	// LogLinePrefix starts every line of the log with time, process, user, database and
	// application_name.
	LogLinePrefix = "%m [%p] user=%u db=%d app=%a "

	startTimeout = time.Minute
	pollInterval = 50 * time.Millisecond
)

// Options of [Start]. The zero value is what the package comment describes.
type Options struct {
	// LogPath is where the log goes; a file that [Server.Stop] removes where empty.
	LogPath string
	// HBA lines come before the one that asks every TLS client for SCRAM-SHA-256.
	HBA []string
	// Settings are added to postgresql.conf and win over what is set here.
	Settings map[string]string
	// WithoutTLS makes a server that answers N to an SSLRequest.
	WithoutTLS bool
	// ClientCA is the PEM authority of client certificates, for HBA lines that ask for one.
	ClientCA []byte
	// StandbyOf makes a hot standby that streams from a running server.
	StandbyOf *Server
	// Port to listen on; a free one where zero.
	Port int
}

// Server is a running PostgreSQL.
type Server struct {
	Host string
	Port int
	// CAPath and CAPEM are the authority of the server's certificate, which is valid for
	// 127.0.0.1 and localhost. CAPath is empty without TLS.
	CAPath string
	CAPEM  []byte
	// Password is the superuser's, random for each server.
	Password string
	// SuperuserDSN connects to the database postgres, over verified TLS where there is TLS.
	SuperuserDSN string
	// LogPath holds the server's log.
	LogPath string
	// BinDir is the folder of psql and pgbench.
	BinDir string

	dir     string
	as      *syscall.Credential
	process *proc.Process
}

// Start runs a server until [Server.Stop]. The context bounds the start only.
func Start(ctx context.Context, options Options) (_ *Server, err error) {
	s := &Server{Host: proc.Loopback, Password: rand.Text(), LogPath: options.LogPath}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.BinDir, err = BinDir(); err != nil {
		return nil, err
	}
	if s.as, err = unprivileged(); err != nil {
		return nil, err
	}
	if s.dir, err = privateDir("doorward-postgres-", s.as); err != nil {
		return nil, err
	}
	if s.LogPath == "" {
		s.LogPath = filepath.Join(s.dir, "postgres.log")
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if options.StandbyOf != nil {
		err = s.copy(ctx, options.StandbyOf)
	} else {
		err = s.initdb(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := s.configure(options); err != nil {
		return nil, err
	}
	if err := proc.OnPort(ctx, options.Port, func(port int) error { return s.start(ctx, port) }); err != nil {
		return nil, err
	}
	return s, nil
}

// StartT is [Start] for one test; the server ends with it.
func StartT(tb testing.TB, options Options) *Server {
	tb.Helper()
	s, err := Start(tb.Context(), options)
	if err != nil {
		tb.Fatalf("cannot start PostgreSQL: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Errorf("cannot stop PostgreSQL: %v", err)
		}
	})
	return s
}

// Stop ends the server, cutting its sessions, and removes its data.
func (s *Server) Stop() error {
	var errs []error
	if s.process != nil {
		errs = append(errs, s.process.Stop())
		s.process = nil
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// Exec runs statements as the superuser, one after the other, in one session.
func (s *Server) Exec(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.SuperuserDSN)
	if err != nil {
		return fmt.Errorf("cannot connect to PostgreSQL: %w", err)
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.PgConn().Exec(ctx, statement).ReadAll(); err != nil {
			return fmt.Errorf("cannot execute %q: %w", statement, err)
		}
	}
	return nil
}

// DSN returns a connection string for a role and a database, over verified TLS where the
// server has TLS.
func (s *Server) DSN(role, password, database string) string {
	tls := "sslmode=disable"
	if s.CAPath != "" {
		tls = "sslmode=verify-full sslrootcert=" + s.CAPath
	}
	return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s %s", s.Host, s.Port, role, password, database, tls)
}

// Log returns what the server has logged so far.
func (s *Server) Log() (string, error) {
	content, err := os.ReadFile(s.LogPath)
	if err != nil {
		return "", fmt.Errorf("cannot read PostgreSQL's log: %w", err)
	}
	return string(content), nil
}

// initdb makes the data folder.
func (s *Server) initdb(ctx context.Context) error {
	passwordFile := filepath.Join(s.dir, "password")
	if err := writePrivate(passwordFile, []byte(s.Password+"\n"), s.as); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, filepath.Join(s.BinDir, "initdb"),
		"--pgdata", s.data(), "--username", Superuser, "--pwfile", passwordFile,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	command.Dir = s.dir
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make a PostgreSQL data folder: %w: %s", err, out)
	}
	return nil
}

// configure writes the certificate, postgresql.conf and pg_hba.conf.
func (s *Server) configure(options Options) error {
	settings := map[string]string{
		"listen_addresses":        s.Host,
		"unix_socket_directories": "",
		"password_encryption":     "scram-sha-256",
		"fsync":                   "off",
		"synchronous_commit":      "off",
		"full_page_writes":        "off",
		"log_statement":           "all",
		"log_connections":         "on",
		"log_disconnections":      "on",
		"log_line_prefix":         LogLinePrefix,
		"timezone":                "UTC",
		"log_timezone":            "UTC",
	}
	hostType := "host"
	if !options.WithoutTLS {
		hostType = "hostssl"
		if err := s.certify(); err != nil {
			return err
		}
		settings["ssl"] = "on"
		settings["ssl_cert_file"] = filepath.Join(s.dir, "server.crt")
		settings["ssl_key_file"] = filepath.Join(s.dir, "server.key")
	}
	if len(options.ClientCA) > 0 {
		settings["ssl_ca_file"] = filepath.Join(s.dir, "client-ca.crt")
		if err := writePrivate(settings["ssl_ca_file"], options.ClientCA, s.as); err != nil {
			return err
		}
	}
	maps.Copy(settings, options.Settings)
	var conf strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	hba := slices.Concat(options.HBA, []string{
		hostType + " all all " + s.Host + "/32 scram-sha-256",
		hostType + " replication all " + s.Host + "/32 scram-sha-256",
	})
	return errors.Join(
		writePrivate(filepath.Join(s.data(), "postgresql.conf"), []byte(conf.String()), s.as),
		writePrivate(filepath.Join(s.data(), "pg_hba.conf"), []byte(strings.Join(hba, "\n")+"\n"), s.as),
	)
}

// certify makes an authority and the server's certificate.
func (s *Server) certify() error {
	ca, err := testcert.NewCA("doorward-pgtest")
	if err != nil {
		return err
	}
	pair, err := ca.Issue(testcert.Request{
		CommonName: "localhost", DNSNames: []string{"localhost"}, IPs: []net.IP{net.ParseIP(s.Host)},
	})
	if err != nil {
		return err
	}
	s.CAPEM, s.CAPath = ca.PEM, filepath.Join(s.dir, "ca.crt")
	// Only what a client needs is readable by others than the server.
	return errors.Join(
		os.Chmod(s.dir, 0o711),
		os.WriteFile(s.CAPath, ca.PEM, 0o644),
		writePrivate(filepath.Join(s.dir, "server.crt"), pair.CertPEM, s.as),
		writePrivate(filepath.Join(s.dir, "server.key"), pair.KeyPEM, s.as),
	)
}

// start runs postgres on the port, or on a free one, until it answers a query.
func (s *Server) start(ctx context.Context, port int) (err error) {
	s.Port = port
	s.SuperuserDSN = s.DSN(Superuser, s.Password, "postgres")
	s.process, err = proc.Start(proc.Command{
		Path:       filepath.Join(s.BinDir, "postgres"),
		Args:       []string{"-D", s.data(), "-p", fmt.Sprint(s.Port)},
		Dir:        s.dir,
		Output:     s.LogPath,
		Credential: s.as,
		StopSignal: syscall.SIGINT, // "fast" shutdown: do not wait for clients
	})
	if err != nil {
		return err
	}
	return s.process.WaitReady(ctx, pollInterval, func(ctx context.Context) error { return s.Exec(ctx, "SELECT 1") })
}

// Crash kills the server, as a crash does, and starts it again on the same port.
func (s *Server) Crash(ctx context.Context) error {
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-s.process.Done()
	// Its processes hold the memory that it shared with them until they notice.
	var err error
	for {
		if err = s.start(ctx, s.Port); err == nil || ctx.Err() != nil {
			return err
		}
	}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }
