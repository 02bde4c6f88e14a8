// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"slices"

	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// deeds are what the actions on relations reach further by.
var deeds = map[string]catalog.Deed{
	ActionSelect: catalog.Read, ActionLock: catalog.Read, ActionInsert: catalog.Insert, ActionUpdate: catalog.Update,
	ActionDelete: catalog.Delete, ActionTruncate: catalog.Truncate,
}

var deedActions = map[catalog.Deed]string{
	catalog.Read: ActionSelect, catalog.Insert: ActionInsert, catalog.Update: ActionUpdate,
	catalog.Delete: ActionDelete, catalog.Truncate: ActionTruncate,
}

// eachAccess adds one access per possible meaning, and the indirect ones of
// what is reached from there.
func (a *analysis) eachAccess(action string, t target, columns []string) {
	for _, r := range t.resources() {
		a.access(action, r, columns)
	}
	deed, reaches := deeds[action]
	if !reaches {
		return
	}
	if t.rel != nil {
		a.updatesSettings(deed, t.rel)
		a.facts.triggers = a.facts.triggers || deed != catalog.Read && a.cat.HasTriggers(t.rel.OID)
		cascade := slices.Contains(a.out.Properties, PropertyCascade)
		for _, r := range a.cat.Reaches(t.rel.OID, deed, cascade) {
			rel, known := a.cat.Relation(r.OID)
			if !known {
				continue
			}
			next := deedActions[r.Deed]
			a.updatesSettings(r.Deed, rel)
			a.facts.triggers = a.facts.triggers || r.Deed != catalog.Read && a.cat.HasTriggers(r.OID)
			if action == ActionLock {
				next = ActionLock
			}
			a.indirect(next, rel.String())
		}
	}
	if a.opt.Behind == nil {
		return
	}
	for _, r := range t.session {
		for _, x := range a.opt.Behind(r) {
			a.indirect(x.Action, x.Resource)
			if x.Action == ActionSelect && deed != catalog.Read {
				a.indirect(action, x.Resource) // a simple view can be written through
			}
		}
	}
}

// updatesSettings notes UPDATE of pg_settings, whose rule calls set_config.
func (a *analysis) updatesSettings(deed catalog.Deed, r *catalog.Relation) {
	if deed == catalog.Update && r.Schema == catalog.SystemSchema && r.Name == "pg_settings" {
		a.out.Effects.ChangesPath = true
	}
}

func (a *analysis) indirect(action, resource string) {
	if action != ActionSelect {
		a.out.Effects.ReadOnly = false
	}
	a.accesses = append(a.accesses, Access{Action: action, Resource: resource, Indirect: true})
}

// behind is what whoever reads a view reaches: all that its definition did but
// the view's own creation.
func behind(accesses []Access) []Access {
	var out []Access
	for _, x := range accesses {
		if x.Action != ActionCreate && x.Action != ActionEvaluate {
			out = append(out, Access{Action: x.Action, Resource: x.Resource, Indirect: true})
		}
	}
	return out
}
