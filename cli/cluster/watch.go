// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Query chooses objects of one kind.
type Query struct {
	Namespace string
	Labels    labels.Selector
	Fields    fields.Selector
}

// Query is what the flags choose.
func (f *Flags) Query() (Query, error) {
	namespace, err := f.Scope()
	if err != nil {
		return Query{}, err
	}
	q := Query{Namespace: namespace}
	if f.Selector != "" {
		if q.Labels, err = labels.Parse(f.Selector); err != nil {
			return q, fmt.Errorf("no label query: --selector %q: %w", f.Selector, err)
		}
	}
	if f.FieldSelector != "" {
		if q.Fields, err = fields.ParseSelector(f.FieldSelector); err != nil {
			return q, fmt.Errorf("no field query: --field-selector %q: %w", f.FieldSelector, err)
		}
	}
	return q, nil
}

// Object chooses one object.
func Object(namespace, name string) Query {
	return Query{Namespace: namespace, Fields: fields.OneTermEqualSelector("metadata.name", name)}
}

// options are those of a client's List and Watch.
func (q Query) options(raw *metav1.ListOptions) *client.ListOptions {
	return &client.ListOptions{Namespace: q.Namespace, LabelSelector: q.Labels, FieldSelector: q.Fields, Raw: raw}
}

// List fills a list.
func List(ctx context.Context, c client.Client, list client.ObjectList, q Query, resource string) error {
	err := c.List(ctx, list, q.options(nil))
	return Request{Verb: "list", Resource: Ours(resource), Namespace: q.Namespace}.Failed(err)
}

// Watch calls each with what happens after a list was read, until each says that it is
// done, the context ends, or the API server has forgotten what came after the list. A
// watch that breaks off goes on where it was.
func Watch(ctx context.Context, c client.WithWatch, list client.ObjectList, q Query, resource string, each func(watch.EventType, client.Object) (done bool, err error)) error {
	asked := Request{Verb: "watch", Resource: Ours(resource), Namespace: q.Namespace}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), source{client: c, list: list, query: q})
	if err != nil {
		return asked.Failed(err)
	}
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case event, open := <-watcher.ResultChan():
			object, known := event.Object.(client.Object)
			switch {
			case !open && ctx.Err() != nil:
				return ctx.Err()
			case !open:
				return fmt.Errorf("cannot watch %s: the API server ended it: run the command again", asked.Resource)
			case event.Type == watch.Error:
				err := apierrors.FromObject(event.Object)
				if apierrors.IsGone(err) || apierrors.IsResourceExpired(err) {
					return fmt.Errorf("cannot go on watching %s: too much happened meanwhile: run the command again", asked.Resource)
				}
				return asked.Failed(err)
			case !known:
				continue
			}
			if done, err := each(event.Type, object); done || err != nil {
				return err
			}
		}
	}
}

// source opens watches of what a list holds.
type source struct {
	client client.WithWatch
	list   client.ObjectList
	query  Query
}

// WatchWithContext opens one.
func (s source) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	empty, ok := s.list.DeepCopyObject().(client.ObjectList)
	if !ok {
		return nil, fmt.Errorf("no list: %T", s.list)
	}
	return s.client.Watch(ctx, empty, s.query.options(&options))
}
