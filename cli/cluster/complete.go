// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
)

// completeTimeout bounds a completion: a shell waits for it.
const completeTimeout = 5 * time.Second

// Complete offers the objects of a list as words, each with what describes it behind a
// tab; those that describe says no to are left out, and so are words that are there
// already. What cannot be read offers nothing.
func Complete[T client.Object](f *Flags, list client.ObjectList, most int, describe func(T) (word, description string, offered bool)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		const done = cobra.ShellCompDirectiveNoFileComp
		if most > 0 && len(args) >= most {
			return nil, done
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		namespace, err := f.Scope()
		if err != nil {
			return nil, done
		}
		c, err := f.Client()
		if err != nil {
			return nil, done
		}
		if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, done
		}
		var words []string
		_ = meta.EachListItem(list, func(item runtime.Object) error {
			object, ok := item.(T)
			if !ok {
				return nil
			}
			word, description, offered := describe(object)
			if offered && strings.HasPrefix(word, prefix) && !slices.Contains(args, word) {
				words = append(words, cobra.CompletionWithDesc(word, description))
			}
			return nil
		})
		slices.Sort(words)
		return slices.Compact(words), done
	}
}

// CompleteNamespace offers the names of namespaces.
func (f *Flags) CompleteNamespace(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	offer := Complete(f, &corev1.NamespaceList{}, 0, func(n *corev1.Namespace) (string, string, bool) { return n.Name, "", true })
	return offer(cmd, nil, prefix)
}

// CompleteConnection offers the names of Connections.
func (f *Flags) CompleteConnection(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	offer := Complete(f, &v1alpha1.ConnectionList{}, 0, func(c *v1alpha1.Connection) (string, string, bool) {
		return c.Name, c.Spec.Protocol, true
	})
	return offer(cmd, nil, prefix)
}
