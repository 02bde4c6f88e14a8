// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package connect

import "os"

// passedOn are the signals that a client gets. Windows has one.
var passedOn = []os.Signal{os.Interrupt}
