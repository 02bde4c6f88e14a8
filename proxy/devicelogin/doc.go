// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package devicelogin has callers log in by a browser at the manager's login portal, by the
// device authorization grant (RFC 8628) with PKCE (RFC 7636). The device is the proxy, for one
// handshake of one caller.
//
// The device code and the verifier stay in the memory of that handshake. The token that comes
// of it is bound to the verifier (package gateway), so that it proves the caller nowhere else:
// not to another proxy, not to this one for another client, and not to anybody who read it on
// its way. Whoever says to the portal that he is a proxy, and is none, has a token that no
// proxy takes; so what the page shows, the Connection and where the caller is, is what a proxy
// has said wherever it matters (RFC 8628 section 5.4).
package devicelogin
