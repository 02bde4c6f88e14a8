// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/identity/oidc"
	"github.com/doorward/doorward/proxy/identity/provider"
	"github.com/doorward/doorward/proxy/snapshot"
)

// providers are the accepted IdentityProviders that have spec.login, with the verifier
// that proxies have of them.
type providers struct {
	reader client.Reader
	pool   *oidc.Pool

	mu   sync.Mutex // guards the rest
	key  string     // tells which objects made is made of
	made *inForce
}

// inForce are the providers of one moment.
type inForce struct {
	byName map[string]*v1alpha1.IdentityProvider
	// verifier proves tokens; vouching are those who judge what the portal vouches for.
	verifier identity.Verifier
	vouching map[string]*oidc.Verifier
}

func newProviders(reader client.Reader, pool *oidc.Pool) *providers {
	return &providers{reader: reader, pool: pool}
}

// now are those in force. Expressions are compiled once for each change.
func (p *providers) now(ctx context.Context) (*inForce, error) {
	var list v1alpha1.IdentityProviderList
	if err := p.reader.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("cannot list IdentityProviders: %w", err)
	}
	versions := make([]string, 0, len(list.Items))
	for i := range list.Items {
		versions = append(versions, fmt.Sprintf("%s/%d", list.Items[i].UID, list.Items[i].Generation))
	}
	slices.Sort(versions)
	key := strings.Join(versions, "\n")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made != nil && p.key == key {
		return p.made, nil
	}
	made := &inForce{byName: map[string]*v1alpha1.IdentityProvider{}, vouching: map[string]*oidc.Verifier{}}
	objects := make(map[string]*v1alpha1.IdentityProvider, len(list.Items))
	for i := range list.Items {
		objects[list.Items[i].Name] = &list.Items[i]
	}
	accepted, _ := compile.Providers(list.Items)
	// None that has its tokens reviewed has spec.login.
	var nobody oidc.TokenReviewer
	var withLogin []snapshot.IdentityProvider
	for i := range accepted {
		object := objects[accepted[i].Name]
		if object.Spec.Login == nil {
			continue
		}
		vouching, err := provider.Vouching(p.pool, &accepted[i], nobody)
		if err != nil {
			return nil, err
		}
		made.byName[object.Name], made.vouching[object.Name] = object, vouching
		withLogin = append(withLogin, accepted[i])
	}
	var err error
	if made.verifier, err = provider.Verifiers(p.pool, nobody)(ctx, withLogin); err != nil {
		return nil, err
	}
	p.key, p.made = key, made
	return made, nil
}

// browsers are those that people log in to by a browser, by name.
func (f *inForce) browsers() []*v1alpha1.IdentityProvider {
	var all []*v1alpha1.IdentityProvider
	for _, object := range f.byName {
		if compile.Browsed(object) {
			all = append(all, object)
		}
	}
	slices.SortFunc(all, func(a, b *v1alpha1.IdentityProvider) int { return strings.Compare(a.Name, b.Name) })
	return all
}
