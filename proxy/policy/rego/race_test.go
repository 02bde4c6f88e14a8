// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build race

package rego

// raceEnabled says that everything takes ten times as long, and allocates.
const raceEnabled = true
