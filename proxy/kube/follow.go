// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// The pauses between attempts, and the life of one watch. The usual machinery
// waits up to a minute, which is longer than a revocation may take once the
// API server is back.
const (
	retrySoonest = 100 * time.Millisecond
	retryLatest  = 2 * time.Second
	watchSeconds = 300
)

// follower keeps up with a selection of objects: lists them, then watches, and
// begins anew whenever that ends. All its functions are called from run.
type follower[T runtime.Object] struct {
	selector metav1.ListOptions
	// list bounds the time of each request that it makes.
	list  func(context.Context, metav1.ListOptions) (items []T, version string, err error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
	// synced gets all objects there are, event each change after that.
	synced func([]T)
	event  func(object T, gone bool)
	// failed, where not nil, is told why nothing arrives; nil says that it does again.
	failed func(error)
	// alive, where not nil, is told that a watch is up, after synced, and that it is not
	// any more. A connection that fell silent is found out within pingAfter and pingTimeout.
	alive func(bool)
}

// lister adapts a typed List.
func lister[T runtime.Object, L interface {
	runtime.Object
	metav1.ListInterface
}](list func(context.Context, metav1.ListOptions) (L, error), items func(L) []T) func(context.Context, metav1.ListOptions) ([]T, string, error) {
	return func(ctx context.Context, options metav1.ListOptions) ([]T, string, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		all, err := list(ctx, options)
		if err != nil {
			return nil, "", err
		}
		return items(all), all.GetResourceVersion(), nil
	}
}

// pageSize is how many objects of a selection that may be large are listed at once: 100 of
// the largest are some megabytes.
const pageSize = 100

// paged adapts a typed List of a selection that may be large: it is read page by page, each
// within the time of a request, and only what items leaves of each is kept.
func paged[T runtime.Object, L interface {
	runtime.Object
	metav1.ListInterface
}](list func(context.Context, metav1.ListOptions) (L, error), items func(L) []T) func(context.Context, metav1.ListOptions) ([]T, string, error) {
	return func(ctx context.Context, options metav1.ListOptions) ([]T, string, error) {
		var all []T
		options.Limit = pageSize
		for {
			bound, cancel := context.WithTimeout(ctx, requestTimeout)
			page, err := list(bound, options)
			cancel()
			if err != nil {
				return nil, "", err
			}
			all = append(all, items(page)...)
			if options.Continue = page.GetContinue(); options.Continue == "" {
				return all, page.GetResourceVersion(), nil
			}
		}
	}
}

// chosen lists only the objects of given names, of a selection that may be too
// large to list: the version comes first, so that the watch that follows brings
// what changes while the names are collected and fetched. missing is told the names that are not there.
func chosen[T runtime.Object, L interface {
	runtime.Object
	metav1.ListInterface
}](
	list func(context.Context, metav1.ListOptions) (L, error), get func(context.Context, string, metav1.GetOptions) (T, error),
	names func() []string, missing func(string),
) func(context.Context, metav1.ListOptions) ([]T, string, error) {
	return func(ctx context.Context, options metav1.ListOptions) ([]T, string, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		options.Limit = 1
		page, err := list(ctx, options)
		if err != nil {
			return nil, "", err
		}
		var items []T
		for _, name := range names() {
			item, err := get(ctx, name, metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
				missing(name)
			case err != nil:
				return nil, "", err
			default:
				items = append(items, item)
			}
		}
		return items, page.GetResourceVersion(), nil
	}
}

// run follows until ctx ends.
func (f *follower[T]) run(ctx context.Context) {
	pause := retrySoonest
	for ctx.Err() == nil {
		began := time.Now()
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > 2*retryLatest {
			pause = retrySoonest
		}
		if err != nil && f.failed != nil && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			f.failed(err)
		}
		// Jitter, so that many proxies do not come back at the same instant.
		if !sleep(ctx, pause/2+rand.N(pause)) { //nolint:gosec // jitter is no secret
			return
		}
		pause = min(2*pause, retryLatest)
	}
}

// once lists and watches until either fails.
func (f *follower[T]) once(ctx context.Context) error {
	items, version, err := f.list(ctx, f.selector)
	if err != nil {
		return err
	}
	if f.failed != nil {
		f.failed(nil)
	}
	f.synced(items)
	for ctx.Err() == nil {
		if version, err = f.observe(ctx, version); err != nil {
			return err
		}
	}
	return nil
}

// observe runs one watch to its end, and returns the version it got to.
func (f *follower[T]) observe(ctx context.Context, version string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := f.selector
	seconds := int64(watchSeconds)
	options.ResourceVersion, options.TimeoutSeconds, options.AllowWatchBookmarks = version, &seconds, true
	// The answer's head must come in time; the stream may be silent.
	impatient := time.AfterFunc(requestTimeout, cancel)
	stream, err := f.watch(ctx, options)
	if err != nil {
		return version, err
	}
	defer stream.Stop()
	if !impatient.Stop() {
		return version, context.DeadlineExceeded
	}
	if f.alive != nil {
		f.alive(true)
		defer f.alive(false)
	}
	for event := range stream.ResultChan() {
		if event.Type == watch.Error {
			return version, apierrors.FromObject(event.Object)
		}
		accessor, err := meta.Accessor(event.Object)
		if err != nil {
			return version, fmt.Errorf("watch brought no object: %w", err)
		}
		version = accessor.GetResourceVersion()
		object, ok := event.Object.(T)
		if !ok {
			return version, fmt.Errorf("watch brought another kind: %T", event.Object)
		}
		switch event.Type {
		case watch.Added, watch.Modified:
			f.event(object, false)
		case watch.Deleted:
			f.event(object, true)
		case watch.Bookmark, watch.Error:
		}
	}
	if ctx.Err() != nil {
		return version, ctx.Err()
	}
	return version, errWatchEnded
}

// errWatchEnded makes a new list follow the end of a watch: what was missed, if
// anything, is in it.
var errWatchEnded = errors.New("the watch ended")

// sleep waits; false where ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
