// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import "time"

// Condition says when a policy is in force. Exactly one part is set.
type Condition struct {
	Schedule *Schedule `json:"schedule,omitempty"`
	// Sources are networks in CIDR notation, one of which the caller's address must
	// be in. Of a caller whose address is not known, what restricts holds and what
	// allows does not.
	Sources []string `json:"sources,omitempty"`
	// SharedCredential holds for callers whose credential was found to be used from
	// several places.
	SharedCredential bool `json:"sharedCredential,omitempty"`
}

// Schedule holds within any of its windows, by the clocks of a time zone.
type Schedule struct {
	// TimeZone is a name of the IANA time zone database.
	TimeZone string       `json:"timeZone"`
	Windows  []TimeWindow `json:"windows"`
}

// TimeWindow is a part of each of some days. Start and End are minutes since
// midnight, End up to 1440 and no part of it; one that is not after Start is on
// the next day.
type TimeWindow struct {
	Days  []time.Weekday `json:"days"`
	Start int            `json:"start"`
	End   int            `json:"end"`
}
