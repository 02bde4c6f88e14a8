// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import "time"

// MaxForeign bounds the logins of one entry, MaxText each text in them, in bytes.
const (
	MaxForeign = 8
	MaxText    = 256
)

// Target is what an instance knows of the target from its own way there.
type Target struct {
	// Reached is when the instance last had a connection to each of its addresses, by
	// host:port; those that it never had one to are left out.
	Reached map[string]time.Time `json:"reached,omitempty"`
	// Watched says that the instance looks at who is logged in there.
	Watched bool `json:"watched,omitempty"`
	// Trouble is why it cannot tell of all; empty for none.
	Trouble string `json:"trouble,omitempty"`
	// Blind says that it cannot even tell of those that are called after its own
	// connections, which nobody else judges.
	Blind bool `json:"blind,omitempty"`
	// Foreign are logins that no proxy made, seen within the last 24 h, those found
	// last first; at most MaxForeign of them.
	Foreign []ForeignLogin `json:"foreign,omitempty"`
}

// Sees says whether the instance tells who is called after its own connections.
func (t *Target) Sees() bool { return t != nil && t.Watched && !t.Blind }

// ForeignLogin is somebody at the target who did not come through a proxy.
type ForeignLogin struct {
	// Target is the host:port they are logged in at, Login tells them from others there.
	Target string `json:"target"`
	Login  string `json:"login"`
	// OwnRole says that it is with the role of the stored credential, which is not
	// named; else Role names it.
	OwnRole bool   `json:"ownRole,omitempty"`
	Role    string `json:"role,omitempty"`
	// Address is where they came from; empty where the target does not show it.
	Address string `json:"address,omitempty"`
	// FoundAt and SeenAt are when they were seen first and last.
	FoundAt time.Time `json:"foundAt"`
	SeenAt  time.Time `json:"seenAt"`
}
