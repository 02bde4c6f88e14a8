// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Command pgserver is the entrypoint of the PostgreSQL image: it makes a database cluster where
// there is none, then becomes the server, which gets the arguments of this command.
//
//	PGDATA                  folder of the database cluster, below a folder that is writable
//	POSTGRES_PASSWORD_FILE  file with the superuser's password
//	POSTGRES_HBA            content of pg_hba.conf; without it, and without the file
//	                        /etc/postgresql/pg_hba.conf, passwords by SCRAM from everywhere
//
// /etc/postgresql/postgresql.conf is included after the server's own settings. The files
// /etc/postgresql-init/*.sql are executed once, in the order of names, before anybody else can
// connect.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// settings is where a pod mounts what it configures, statements the first ones to execute.
const (
	settings   = "/etc/postgresql"
	statements = "/etc/postgresql-init"
)

// askInterval is how often a server that starts is asked whether it answers.
const askInterval = 100 * time.Millisecond

// defaultHBA trusts who is in the pod, and asks all others for a password.
const defaultHBA = "local all all trust\nhost all all all scram-sha-256\n"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pgserver:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string) error {
	data := os.Getenv("PGDATA")
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		if err := initialize(ctx, data); err != nil {
			return err
		}
	}
	// The fsGroup of a pod gives a group rights with which the server refuses to start.
	if err := os.Chmod(data, 0o700); err != nil {
		return fmt.Errorf("cannot keep others out of the database cluster: %w", err)
	}
	hba, err := hbaFile(filepath.Dir(data))
	if err != nil {
		return err
	}
	server := []string{
		"postgres", "-D", data, "-c", "listen_addresses=*", "-c", "unix_socket_directories=" + filepath.Dir(data), "-c", "hba_file=" + hba,
	}
	path, err := exec.LookPath(server[0])
	if err != nil {
		return fmt.Errorf("cannot find the server: %w", err)
	}
	return syscall.Exec(path, append(server, args...), os.Environ())
}

// initialize makes the database cluster beside its place and moves it there when it is whole,
// so that a start which was interrupted begins anew.
func initialize(ctx context.Context, data string) error {
	fresh := data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("cannot remove what an interrupted start left: %w", err)
	}
	args := []string{"-D", fresh, "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256"}
	if file := os.Getenv("POSTGRES_PASSWORD_FILE"); file != "" {
		args = append(args, "--pwfile="+file)
	}
	if err := execute(ctx, "initdb", args...); err != nil {
		return err
	}
	own := filepath.Join(settings, "postgresql.conf")
	if err := appendTo(filepath.Join(fresh, "postgresql.conf"), "include_if_exists = '"+own+"'\n"); err != nil {
		return err
	}
	if err := initialSQL(ctx, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, data)
}

// initialSQL executes the first statements on a server that only this process reaches.
func initialSQL(ctx context.Context, data string) error {
	files, err := filepath.Glob(filepath.Join(statements, "*.sql"))
	if err != nil || len(files) == 0 {
		return err
	}
	sockets := filepath.Dir(data)
	server := exec.CommandContext(ctx, "postgres", "-D", data, "-c", "listen_addresses=", "-c", "unix_socket_directories="+sockets)
	server.Stdout, server.Stderr = os.Stdout, os.Stderr
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	if err := server.Start(); err != nil {
		return fmt.Errorf("cannot start the server for the first statements: %w", err)
	}
	err = awaitServer(ctx, sockets)
	for _, file := range files {
		if err != nil {
			break
		}
		err = execute(ctx, "psql", "--host="+sockets, "--username=postgres", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file="+file)
	}
	if signalled := server.Process.Signal(os.Interrupt); err == nil {
		err = signalled
	}
	if ended := server.Wait(); err == nil && ended != nil {
		err = fmt.Errorf("cannot stop the server after the first statements: %w", ended)
	}
	return err
}

// awaitServer returns once the server answers.
func awaitServer(ctx context.Context, sockets string) error {
	for {
		err := exec.CommandContext(ctx, "pg_isready", "--quiet", "--host="+sockets).Run()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(askInterval):
		}
	}
}

// hbaFile returns the pg_hba.conf to use, which it writes into the folder unless one is mounted.
func hbaFile(folder string) (string, error) {
	mounted := filepath.Join(settings, "pg_hba.conf")
	if _, err := os.Stat(mounted); err == nil {
		return mounted, nil
	}
	content := os.Getenv("POSTGRES_HBA")
	if content == "" {
		content = defaultHBA
	}
	path := filepath.Join(folder, "pg_hba.conf")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("cannot write pg_hba.conf: %w", err)
	}
	return path, nil
}

func appendTo(path, line string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot extend the server's settings: %w", err)
	}
	_, err = file.WriteString(line)
	return errors.Join(err, file.Close())
}

func execute(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s failed: %w", name, err)
	}
	return nil
}
