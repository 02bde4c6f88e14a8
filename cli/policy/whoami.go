// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"strings"

	"github.com/doorward/doorward/cli/cluster"
	"github.com/doorward/doorward/controllers/compile"
	"github.com/doorward/doorward/proxy/identity"
)

// who is whoever runs the command, as a proxy would know him: the API server says his
// Kubernetes user name, and the IdentityProvider whose kubernetesUsername makes such names
// is the one that proves him. Names of several providers do not overlap.
func (o *canIOptions) who(ctx context.Context, all *objects) (*caller, error) {
	reader, err := newReader(o.cluster.ConfigFlags)
	if err != nil {
		return nil, err
	}
	user, err := cluster.Self(ctx, reader)
	if err != nil {
		return nil, err
	}
	who := &caller{User: user.Username, Groups: o.groups, Kind: string(identity.Human)}
	if len(o.groups) == 0 {
		for _, group := range user.Groups {
			if !strings.HasPrefix(group, "system:") {
				who.Groups = append(who.Groups, group)
			}
		}
	}
	accepted, _ := compile.Providers(all.providers)
	for i := range accepted {
		idp := &accepted[i]
		if o.provider != "" && idp.Name != o.provider || idp.KubernetesUsernamePrefix == nil || idp.Mappings() == nil {
			continue
		}
		// What an expression makes of claims cannot be undone.
		if idp.KubernetesUsernameExpression != "" {
			continue
		}
		if name, mine := strings.CutPrefix(user.Username, *idp.KubernetesUsernamePrefix); mine && name != "" {
			who.Provider, who.User = idp.Name, idp.Mappings().Username.Prefix+name
			return who, nil
		}
	}
	if o.provider != "" {
		return nil, fmt.Errorf("the API server calls you %q, which kubernetesUsername of IdentityProvider %q does not make", user.Username, o.provider)
	}
	return nil, fmt.Errorf("the API server calls you %q, which no IdentityProvider's kubernetesUsername makes: log in as a proxy would know you, "+
		"or ask \"kubectl doorward policy explain\" about a caller whom you describe", user.Username)
}
