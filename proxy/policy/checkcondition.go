// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	_ "time/tzdata" // an image has no time zones of its own
)

// minutesOfDay bounds the times of a window.
const minutesOfDay = 24 * 60

func checkCondition(c *Condition) error {
	parts := 0
	for _, set := range []bool{c.Schedule != nil, len(c.Sources) > 0, c.SharedCredential} {
		if set {
			parts++
		}
	}
	if parts != 1 {
		return errors.New("a condition is a schedule, sources or a shared credential, and one of them only")
	}
	for _, source := range c.Sources {
		// A caller's address is never one of IPv4 in the form of IPv6.
		if network, err := netip.ParsePrefix(source); err != nil || network.Addr().Is4In6() {
			return fmt.Errorf("invalid source: want a network in CIDR notation: %q", source)
		}
	}
	if c.Schedule == nil {
		return nil
	}
	return checkSchedule(c.Schedule)
}

func checkSchedule(s *Schedule) error {
	// Local is whatever the machine says, and means nothing in a policy.
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "" || s.TimeZone == "Local" {
		return fmt.Errorf("invalid time zone: want a name of the IANA database, such as Europe/Berlin: %q", s.TimeZone)
	}
	if len(s.Windows) == 0 {
		return errors.New("a schedule without windows never holds")
	}
	for _, w := range s.Windows {
		if len(w.Days) == 0 || w.Start < 0 || w.Start >= minutesOfDay || w.End < 0 || w.End > minutesOfDay {
			return fmt.Errorf("invalid window: want days, and minutes of a day: %v, %d to %d", w.Days, w.Start, w.End)
		}
		for _, day := range w.Days {
			if day < time.Sunday || day > time.Saturday {
				return fmt.Errorf("invalid window: unknown day: %d", day)
			}
		}
	}
	return nil
}
