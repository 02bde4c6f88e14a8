// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package operations

import "github.com/doorward/doorward/test/stack"

// complete says whether the sink has each log's records from the first on
// without a gap.
func complete(dir string) error {
	all, err := stack.ReadRecords(dir)
	if err != nil {
		return err
	}
	return stack.Complete(all)
}
