// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// bump is added to the revision of a restored etcd, so that what watches never sees it go
// back; far more than a cluster of tests writes between a snapshot and its loss.
const bump = 1_000_000_000

// SnapshotEtcd writes a snapshot of etcd to path, as `etcdctl snapshot save` does.
func (c *Cluster) SnapshotEtcd(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("cannot resolve the snapshot's path: %w", err)
	}
	_, err = c.inside(ctx, filepath.Join(c.Assets, "etcdctl"), "--endpoints="+etcdURL, "snapshot", "save", path)
	return err
}

// RestoreEtcd gives the cluster the state of a snapshot: the control plane stops, etcd
// starts on a new data folder that `etcdutl snapshot restore` made, then the rest. What
// watches has to list anew, as after any restore. The scheduler and the controllers are
// started anew, as Kubernetes asks ("Operating etcd clusters", "Restoring"): a scheduler
// that finds another pod of the same name where it had no watch ends itself.
func (c *Cluster) RestoreEtcd(ctx context.Context, path string) error {
	for _, server := range []*Server{c.Scheduler, c.ControllerManager, c.APIServer, c.Etcd} {
		if err := server.Stop(); err != nil {
			return err
		}
	}
	data := c.path("etcd-" + strconv.FormatInt(time.Now().UnixNano(), 10))
	_, err := output(ctx, filepath.Join(c.Assets, "etcdutl"), "snapshot", "restore", path,
		"--data-dir="+data, "--name="+c.Name, "--initial-cluster="+c.Name+"="+etcdPeer,
		"--initial-advertise-peer-urls="+etcdPeer, "--bump-revision="+strconv.Itoa(bump), "--mark-compacted")
	if err != nil {
		return err
	}
	c.Etcd.command.Args = c.etcdArgs(data)
	if err := c.Etcd.Start(ctx); err != nil {
		return err
	}
	if err := c.APIServer.Start(ctx); err != nil {
		return err
	}
	return startAll(ctx, c.ControllerManager, c.Scheduler)
}
