// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

// maskFacts is what CheckMasks needs to know of a statement.
type maskFacts struct{}
