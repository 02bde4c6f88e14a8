// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/doorward/doorward/proxy/policy"
)

// maxAccept bounds an accept file, in bytes.
const maxAccept = 16 << 20

// Accept is what a reviewer has agreed to. It has the form of a report, so that one can be
// copied.
type Accept struct {
	// Changes name groups, in full; but for the caller, where '*' stands for any run of
	// characters.
	Changes []Agreed `json:"changes,omitempty"`
	// Undecided names what need not be decided again, by reason and Connection.
	Undecided []AgreedGap `json:"undecided,omitempty"`

	// The rest of a report, which is not looked at.
	Operations   int64 `json:"operations,omitempty"`
	Sessions     int64 `json:"sessions,omitempty"`
	Decided      int64 `json:"decided,omitempty"`
	MasksUnknown []Gap `json:"masksUnknown,omitempty"`
	Otherwise    []Gap `json:"otherwise,omitempty"`
}

// Agreed is one group, or those of several callers. Only the group's name is looked at.
type Agreed struct {
	Group `json:",inline"`
	// Comment is why; for people.
	Comment string `json:"comment,omitempty"`
}

// AgreedGap is what cannot be decided again for one reason on one Connection. Only these
// two are looked at.
type AgreedGap struct {
	Gap     `json:",inline"`
	Comment string `json:"comment,omitempty"`
}

// ReadAccept reads an accept file; a key that it does not know is an error.
func ReadAccept(path string) (*Accept, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the accept file: %w", err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxAccept+1))
	if err == nil && len(data) > maxAccept {
		err = fmt.Errorf("%q has more than %d bytes", path, maxAccept)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the accept file: %w", err)
	}
	accept := &Accept{}
	if err := yaml.UnmarshalStrict(data, accept); err != nil {
		return nil, fmt.Errorf("cannot read the accept file: %q: %w", path, err)
	}
	for i := range accept.Changes {
		a := &accept.Changes[i]
		if !slices.Contains(changes, a.Change) {
			return nil, fmt.Errorf("accept file %q: changes[%d]: unknown change %q: one of %s", path, i, a.Change, strings.Join(changes, ", "))
		}
		if a.Connection == "" || a.Caller == "" || a.Access == "" && a.Change != NewlyDenied || a.Rule == "" {
			return nil, fmt.Errorf("accept file %q: changes[%d]: connection, caller, access and rule are needed: copy them from the report", path, i)
		}
	}
	for i := range accept.Undecided {
		if accept.Undecided[i].Reason == "" {
			return nil, fmt.Errorf("accept file %q: undecided[%d]: a reason is needed: copy it from the report", path, i)
		}
	}
	return accept, nil
}

// Apply marks what is accepted. Entries that nothing in the report fits, and such that are
// there twice, are the error: what was agreed to is not what happens.
func (a *Accept) Apply(report *Report) error {
	var stale []error
	for i := range a.Changes {
		agreed, found := &a.Changes[i], false
		for j := range report.Changes {
			if g := &report.Changes[j]; agreed.fits(&g.Name) {
				found = true
				g.Accepted = true
			}
		}
		if !found {
			stale = append(stale, fmt.Errorf("changes[%d]: no such change: %s of %s on %s, %q by %q: remove the entry", i, agreed.Change, agreed.Caller, agreed.Connection, agreed.Access, agreed.Rule))
		}
		if slices.ContainsFunc(a.Changes[:i], func(other Agreed) bool { return other.Name == agreed.Name }) {
			stale = append(stale, fmt.Errorf("changes[%d]: the entry is there twice", i))
		}
	}
	for i := range a.Undecided {
		agreed, found := &a.Undecided[i], false
		for j := range report.Undecided {
			if g := &report.Undecided[j]; g.Reason == agreed.Reason && g.Connection == agreed.Connection {
				found = true
				g.Accepted = true
			}
		}
		if !found {
			stale = append(stale, fmt.Errorf("undecided[%d]: everything could be decided, as far as %q on %q goes: remove the entry", i, agreed.Reason, agreed.Connection))
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("the accept file does not fit what was found: %w", errors.Join(stale...))
	}
	return nil
}

func (a *Agreed) fits(name *Name) bool {
	return a.Change == name.Change && a.Connection == name.Connection && a.Access == name.Access && a.Rule == name.Rule &&
		policy.Match(a.Caller, name.Caller)
}

// Open says whether something in the report was not accepted.
func (r *Report) Open() bool {
	return slices.ContainsFunc(r.Changes, func(g Group) bool { return !g.Accepted }) ||
		slices.ContainsFunc(r.Undecided, func(g Gap) bool { return !g.Accepted })
}
