// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import "slices"

// subscriptions holds passwords in one column, subconninfo. pg_dump counts its
// rows, and PostgreSQL itself lets everybody read the other columns.
const subscriptions = "pg_catalog.pg_subscription"

// showsNoConninfo says whether a statement that reads pg_subscription can show
// nothing of subconninfo: it is named nowhere, and there is no star, no whole row
// and no list of other names by which it could be meant.
func (a *analysis) showsNoConninfo() bool {
	switch a.out.Kind {
	case "SELECT", "EXPLAIN", "EXECUTE", "PREPARE":
	default:
		return false
	}
	return !a.conninfo && !slices.ContainsFunc(a.uses, func(u *columnUse) bool {
		if u.star || len(u.fields) == 0 {
			return true
		}
		last := u.fields[len(u.fields)-1]
		for s := u.scope; s != nil; s = s.parent {
			for _, i := range s.items {
				if i.aliased || i.alias == last {
					return true
				}
			}
		}
		return false
	})
}
