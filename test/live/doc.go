// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package live measures how soon a change reaches everybody whom it concerns: from the
// return of the API request that makes it until the last of a hundred proxies' watches
// has brought it, and until live sessions at real proxies feel it. See docs/policy/live.md.
package live
