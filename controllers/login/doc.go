// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package login is the manager's login portal. It proves a caller by an IdentityProvider
// that has spec.login, and issues a GatewayCredential: a token or a client certificate
// that proxies know by the manager's login key. Every replica of the manager serves it.
//
// The portal is an OAuth 2.0 authorization server for one public client, the plugin: code
// with PKCE on loopback (RFC 6749, 7636, 8252), device authorization (RFC 8628) and token
// exchange (RFC 8693), for programs too. At an OpenID Connect issuer it is a client, at a
// SAML identity provider the service provider.
//
// No replica knows anything that another does not. What passes through a browser is
// sealed; what may happen once is a GatewayCredential whose name is derived from what is
// used up, which the API server creates once.
package login
