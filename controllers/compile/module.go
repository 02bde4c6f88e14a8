// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"context"
	"fmt"

	"github.com/doorward/doorward/api/v1alpha1"
)

// maxModule bounds a module of Rego, in bytes.
const maxModule = 32 << 10

// ModulesBy makes of a compiler of modules what World wants; nil of nil.
func ModulesBy(ctx context.Context, check func(context.Context, string) ([]string, error)) func(string) ([]string, error) {
	if check == nil {
		return nil
	}
	return func(text string) ([]string, error) { return check(ctx, text) }
}

// ModuleRef is the ConfigMap, in the policy's namespace, that its module is in; nil where
// it is in none.
func ModuleRef(p *v1alpha1.AccessPolicy) *v1alpha1.ConfigMapKeyReference {
	if p.Spec.Rego == nil {
		return nil
	}
	return p.Spec.Rego.ConfigMap
}

// module finds the text of a policy's module, and the claims that it reads.
func module(p *written, world World) (text string, claims []string, f *fault) {
	text = p.rego.Inline
	if ref := p.rego.ConfigMap; ref != nil {
		found := false
		for i := range world.ConfigMaps {
			if world.ConfigMaps[i].Name == ref.Name && world.ConfigMaps[i].Namespace == p.Namespace {
				text, found = world.ConfigMaps[i].Data[ref.Key]
			}
		}
		if !found {
			return "", nil, &fault{v1alpha1.ReasonReferenceNotFound, fmt.Errorf("spec.rego.configMap: no ConfigMap %q with the key %q in this namespace: create it", ref.Name, ref.Key)}
		}
	}
	if text == "" || len(text) > maxModule {
		return "", nil, &fault{v1alpha1.ReasonInvalid, fmt.Errorf("spec.rego: a module of 1 to %d bytes is needed: it has %d", maxModule, len(text))}
	}
	if world.CheckModule != nil {
		var err error
		if claims, err = world.CheckModule(text); err != nil {
			return "", nil, &fault{v1alpha1.ReasonInvalidRego, fmt.Errorf("spec.rego: %w; docs/policy/rego.md says what a module may hold, and how to check one before it is applied", err)}
		}
	}
	return text, claims, nil
}
