// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

// viewLineage is what the columns of a view depend on.
type viewLineage struct {
	columns []column
	err     *Error
}
