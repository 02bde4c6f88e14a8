// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package setup

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// reconnectPause is the mean pause between attempts to reach an API server that
// does not answer. A reflector's own pauses grow to a minute, and what was revoked
// right after the API server's return would be felt that late.
const reconnectPause = time.Second

// newInformer makes the informers of the manager's caches.
func newInformer(log logr.Logger) func(toolscache.ListerWatcher, runtime.Object, time.Duration, toolscache.Indexers) toolscache.SharedIndexInformer {
	past := &history{log: log}
	return func(source toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
		steady := &persistent{source: toolscache.ToListerWatcherWithContext(source), log: log, pause: reconnectPause, past: past}
		return toolscache.NewSharedIndexInformer(steady, object, resync, indexers)
	}
}

// persistent tries again, at an even pace, where the API server does not answer.
// What it does answer is passed on, refusals included.
type persistent struct {
	source toolscache.ListerWatcherWithContext
	log    logr.Logger
	pause  time.Duration
	past   *history

	epoch atomic.Int64 // of past, when this source was last read whole
}

var (
	_ toolscache.ListerWatcher            = (*persistent)(nil)
	_ toolscache.ListerWatcherWithContext = (*persistent)(nil)
)

func (p *persistent) List(options metav1.ListOptions) (runtime.Object, error) {
	return p.ListWithContext(context.Background(), options)
}

func (p *persistent) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return p.WatchWithContext(context.Background(), options)
}

func (p *persistent) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	p.begin()
	return insist(ctx, p, func() (runtime.Object, error) { return p.source.ListWithContext(ctx, options) })
}

func (p *persistent) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return insist(ctx, p, func() (watch.Interface, error) {
		if err := p.continues(ctx, options); err != nil {
			return nil, err
		}
		if options.ResourceVersion == "" || options.SendInitialEvents != nil && *options.SendInitialEvents {
			p.begin()
		}
		return p.source.WatchWithContext(ctx, options)
	})
}

func insist[T any](ctx context.Context, p *persistent, ask func() (T, error)) (T, error) {
	for attempt := 0; ; attempt++ {
		answer, err := ask()
		if err == nil || answered(err) || ctx.Err() != nil {
			return answer, err
		}
		if attempt == 0 {
			p.log.Info("The API server does not answer, trying again until it does", "reason", err.Error())
		}
		// Jitter, so that not all informers come back at the same instant.
		timer := time.NewTimer(p.pause/2 + rand.N(p.pause)) //nolint:gosec // jitter is no secret
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return answer, err
		}
	}
}

// answered says whether an error is an answer of an API server that is up.
func answered(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && !apierrors.IsServiceUnavailable(err)
}
