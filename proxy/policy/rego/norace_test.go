// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package rego

const raceEnabled = false
