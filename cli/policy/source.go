// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/proxy/policy"
)

// source is where objects come from: files, where some are given, or else the cluster.
type source struct {
	files      []string
	connection string
	cluster    *cluster.Flags
	output     string
	// loaded are objects that were read before, for completion and tests.
	notes []string
}

// newSource makes a source with the usual flags. Impersonation is left out where --as is
// the caller whom a question is about.
func newSource(impersonate bool) *source {
	s := &source{cluster: cluster.NewFlags()}
	if !impersonate {
		s.cluster.Impersonate, s.cluster.ImpersonateGroup, s.cluster.ImpersonateUID, s.cluster.ImpersonateUserExtra = nil, nil, nil, nil
	}
	return s
}

func (s *source) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&s.files, "filename", "f", nil, "File or folder with the objects, instead of those in the cluster; may be repeated.")
	cmd.Flags().StringVarP(&s.connection, "connection", "c", "", "Connection that is asked about.")
	cmd.Flags().StringVarP(&s.output, "output", "o", "", "Output format. One of: (json, yaml). Text for people where unset.")
	s.cluster.Add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("connection", s.completeConnection)
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json")
}

func (s *source) check() error {
	if s.output != "" && s.output != "json" && s.output != "yaml" {
		return fmt.Errorf("output format not known: %q: one of (json, yaml)", s.output)
	}
	return nil
}

// load reads the objects that one namespace's Connections are made of.
func (s *source) load(ctx context.Context) (*objects, error) {
	if len(s.files) > 0 {
		all, err := loadFiles(s.files, *s.cluster.Namespace)
		if err != nil {
			return nil, err
		}
		s.notes = append(s.notes, all.assumeAuthority()...)
		return all, nil
	}
	namespace, _, err := s.cluster.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("cannot ask the cluster: %w", err)
	}
	all, notes, err := loadCluster(ctx, s.cluster.ConfigFlags, namespace, true)
	s.notes = append(s.notes, notes...)
	return all, err
}

// pick is the Connection that is asked about.
func (s *source) pick(all *objects) (*v1alpha1.Connection, error) {
	if s.connection == "" {
		return nil, fmt.Errorf("no Connection given: --connection says which one is asked about")
	}
	namespace, name := "", s.connection
	if ns, rest, ok := strings.Cut(s.connection, "/"); ok {
		namespace, name = ns, rest
	} else if s.cluster.Namespace != nil {
		namespace = *s.cluster.Namespace
	}
	return all.find(namespace, name)
}

// completeConnection offers the names of Connections.
func (s *source) completeConnection(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return s.offer(cmd, prefix, func(all *objects) []string {
		var names []string
		for i := range all.connections {
			names = append(names, all.connections[i].Name)
		}
		return names
	})
}

// offer completes a word with what the objects hold.
func (s *source) offer(cmd *cobra.Command, prefix string, names func(*objects) []string) ([]string, cobra.ShellCompDirective) {
	all, err := s.load(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []string
	for _, name := range names(all) {
		if strings.HasPrefix(name, prefix) {
			found = append(found, name)
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// completeProvider offers the names of IdentityProviders.
func (s *source) completeProvider(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return s.offer(cmd, prefix, func(all *objects) []string {
		var names []string
		for i := range all.providers {
			names = append(names, all.providers[i].Name)
		}
		return names
	})
}

// completeAccess offers actions in the words of the Connection's protocol.
func (s *source) completeAccess(deps *Dependencies) cobra.CompletionFunc {
	return s.completeTerm(deps, func(v policy.Vocabulary) []policy.Term { return v.Actions })
}

// completeProperty offers properties in the words of the Connection's protocol.
func (s *source) completeProperty(deps *Dependencies) cobra.CompletionFunc {
	return s.completeTerm(deps, func(v policy.Vocabulary) []policy.Term { return v.Properties })
}

// completeTerm offers some of the words of the Connection's protocol.
func (s *source) completeTerm(deps *Dependencies, of func(policy.Vocabulary) []policy.Term) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return s.offer(cmd, prefix, func(all *objects) []string {
			c, err := s.pick(all)
			if err != nil || deps.Protocols[c.Spec.Protocol] == nil {
				return nil
			}
			var names []string
			for _, term := range of(deps.Protocols[c.Spec.Protocol].Vocabulary()) {
				names = append(names, term.Name)
			}
			return names
		})
	}
}
