// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package identity

// MaxClaims is how many claims of one provider's tokens policies may look at. A proxy
// takes no configuration with more.
const MaxClaims = 64
