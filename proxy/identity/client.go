// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

import "context"

type clientKey struct{}

// WithClient says from which host a credential came that is verified under the context, so
// that who checks it elsewhere can give each host its share and no more. A credential that
// comes from nobody is one that was accepted before.
func WithClient(ctx context.Context, host string) context.Context {
	return context.WithValue(ctx, clientKey{}, host)
}

// ClientOf is the host that WithClient named; empty where none was.
func ClientOf(ctx context.Context) string {
	host, _ := ctx.Value(clientKey{}).(string)
	return host
}
