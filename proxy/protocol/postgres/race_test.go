// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build race

package postgres

// raceDetector says that allocations are not what they are without it.
const raceDetector = true
