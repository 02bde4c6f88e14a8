// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// history is what all informers know of the API server's past. Where etcd was
// restored from an older copy, resource versions went back: a watch from a version
// that is not there yet is silent until it is, which may take hours, and what was
// revoked in between would not be felt. So each watch first asks where the API
// server is, and once one of them finds it in its own past, all begin anew.
//
// Resource versions are decimal numbers that rise: Kubernetes promises so since
// 1.35, and etcd has always made it so.
type history struct {
	log   logr.Logger
	epoch atomic.Int64 // how often the API server was found to have gone back
}

// begin notes that a source is read whole.
func (p *persistent) begin() {
	if p.past != nil {
		p.epoch.Store(p.past.epoch.Load())
	}
}

// continues says whether a watch has all that happened since the version it
// begins at. Its error makes a reflector list from the start.
func (p *persistent) continues(ctx context.Context, options metav1.ListOptions) error {
	from, err := strconv.ParseUint(options.ResourceVersion, 10, 64)
	if p.past == nil || err != nil || from == 0 {
		return nil //nolint:nilerr // a watch that begins anywhere continues nothing
	}
	list, err := p.source.ListWithContext(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return fmt.Errorf("cannot read a list's version: %w", err)
	}
	now, err := strconv.ParseUint(accessor.GetResourceVersion(), 10, 64)
	if err != nil {
		return nil //nolint:nilerr // whatever this is, it cannot be compared
	}
	if now < from {
		p.past.epoch.Add(1)
		p.past.log.Info("The API server is behind what it has said before: its data was restored from an older copy; everything is read anew",
			"resourceVersion", now, "seen", from)
	}
	whole := options.SendInitialEvents != nil && *options.SendInitialEvents
	if now < from || !whole && p.epoch.Load() != p.past.epoch.Load() {
		return apierrors.NewResourceExpired("the API server's data was restored from an older copy")
	}
	return nil
}
