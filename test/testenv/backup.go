// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/doorward/doorward/test/proc"
)

// BackUp copies etcd's data to a folder that does not exist yet, while etcd
// stands still: what a snapshot of its volume holds.
func (e *Env) BackUp(folder string) (err error) {
	if err := e.etcd.process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.etcd.process.Signal(syscall.SIGCONT)) }()
	if err := os.CopyFS(folder, os.DirFS(etcdDir(e.Dir))); err != nil {
		return fmt.Errorf("cannot copy etcd's data: %w", err)
	}
	return nil
}

// Restore puts a copy that BackUp made in place of etcd's data: kube-apiserver and
// etcd are killed, and come back on the same addresses with what they held then.
// Clients meet an API server whose resource versions went back.
func (e *Env) Restore(ctx context.Context, folder string) error {
	return e.RestoreWith(ctx, func(context.Context, Member) error {
		if err := os.CopyFS(etcdDir(e.Dir), os.DirFS(folder)); err != nil {
			return fmt.Errorf("cannot restore etcd's data: %w", err)
		}
		return nil
	})
}

// Member is what the tools of etcd are told of the only member.
type Member struct {
	// Endpoint is the URL of its client port, Peer that of its peer port.
	Name, Endpoint, Peer string
	// DataDir is the folder of its data.
	DataDir string
}

// Etcd is the control plane's etcd.
func (e *Env) Etcd() Member {
	return Member{Name: etcdName, Endpoint: e.etcd.endpoint, Peer: e.etcd.peer, DataDir: etcdDir(e.Dir)}
}

// RestoreWith is Restore with data that the caller makes, in the folder of the
// member's data, which is not there when restore is called.
func (e *Env) RestoreWith(ctx context.Context, restore func(context.Context, Member) error) error {
	for _, process := range []*proc.Process{e.apiserver.process, e.etcd.process} {
		if err := process.Signal(syscall.SIGKILL); err != nil {
			return err
		}
		<-process.Done()
	}
	if err := os.RemoveAll(etcdDir(e.Dir)); err != nil {
		return fmt.Errorf("cannot remove etcd's data: %w", err)
	}
	if err := restore(ctx, e.Etcd()); err != nil {
		return err
	}
	if err := os.Chmod(etcdDir(e.Dir), 0o700); err != nil {
		return fmt.Errorf("cannot restore etcd's data: %w", err)
	}
	client, err := e.probeClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	if e.etcd.process, err = startAgain(ctx, e.etcd.command, e.etcd.ready()); err != nil {
		return err
	}
	e.apiserver.process, err = startAgain(ctx, e.apiserver.command, proc.Answers(client, "https://"+e.apiserver.address+"/readyz"))
	return err
}

// startAgain starts a server with the ports it had.
func startAgain(ctx context.Context, command proc.Command, ready func(context.Context) error) (*proc.Process, error) {
	var last error
	for range portAttempts {
		process, err := startReady(ctx, command, ready)
		if err == nil {
			return process, nil
		}
		last = err
		if !errors.Is(err, proc.ErrExited) {
			break
		}
		// Somebody's outgoing connection has the port for a moment.
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil, last
}

// APIServerPID is the process id of kube-apiserver.
func (e *Env) APIServerPID() int { return e.apiserver.process.PID() }
