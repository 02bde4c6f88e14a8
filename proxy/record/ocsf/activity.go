// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ocsf

import (
	"strings"

	"github.com/doorward/doorward/proxy/record"
)

// databases are the protocols whose operations are Datastore Activity, with the
// kind of database.
var databases = map[string]named{
	"mongodb":  {6, "NoSQL"},
	"mssql":    {1, "Relational"},
	"mysql":    {1, "Relational"},
	"postgres": {1, "Relational"},
	"redis":    {6, "NoSQL"},
}

// activity is an OCSF activity and the actions of our protocols that are one.
type activity struct {
	named
	actions []string
}

// Of an operation with several accesses, the activity that comes first here
// is named: what changes more hides what changes less.
var (
	datastoreActivities = []activity{
		{named{7, "Delete"}, []string{"delete", "truncate", "drop"}},
		{named{2, "Update"}, []string{"update", "alter", "comment"}},
		{named{6, "Create"}, []string{"create"}},
		{named{5, "Write"}, []string{"insert"}},
		{named{4, "Query"}, []string{"select", "evaluate", "find", "aggregate"}},
		{named{1, "Read"}, []string{"get", "show"}},
	}
	apiActivities = []activity{
		{named{4, "Delete"}, []string{"delete", "deletecollection"}},
		{named{3, "Update"}, []string{"update", "patch", "put"}},
		{named{1, "Create"}, []string{"create", "post"}},
		{named{2, "Read"}, []string{"get", "head", "list", "watch"}},
	}
)

// activityOf returns the first activity that one of the accesses is; "Other"
// with the operation's own kind where none is.
func activityOf(o *record.OperationDocument, of []activity) named {
	for _, a := range of {
		for _, access := range o.Accesses {
			for _, action := range a.actions {
				if strings.EqualFold(action, access.Action) {
					return a.named
				}
			}
		}
	}
	return other(o.Kind)
}
