// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package rego

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/identity"
	"github.com/doorward/doorward/proxy/policy"
)

// globMatches tries every length of what a star stands for.
func globMatches(glob, name string) bool {
	if glob == "" {
		return name == ""
	}
	if glob[0] == '*' {
		for i := 0; i <= len(name); i++ {
			if globMatches(glob[1:], name[i:]) {
				return true
			}
		}
		return false
	}
	return name != "" && glob[0] == name[0] && globMatches(glob[1:], name[1:])
}

func anyGlobMatches(globs []string, name string) bool {
	for _, glob := range globs {
		if globMatches(glob, name) {
			return true
		}
	}
	return false
}

// oneOf says whether a word is among several.
func oneOf(word string, words []string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// subjectIs says whether a caller is the subject, and whether he is so for what is to
// his favour. A person's kind is taken for that of whoever acts for her.
func subjectIs(s policy.Subject, who identity.Principal) (restricts, permits bool) {
	if s.Provider != "" && s.Provider != who.Provider {
		return false, false
	}
	parts := []policy.Subject{s}
	if s.Kind == policy.AllOf {
		parts = s.All
	}
	restricts, exactly, speaks := true, true, len(who.Delegation) == 0
	for _, part := range parts {
		is := partIs(part, who)
		exactly = exactly && is
		if part.Kind == policy.Human && len(who.Delegation) > 0 {
			is = true
		}
		restricts = restricts && is
		switch part.Kind {
		case policy.Actor, policy.OnBehalfOfUser, policy.OnBehalfOfGroup:
			speaks = true
		}
	}
	return restricts, exactly && speaks
}

func partIs(s policy.Subject, who identity.Principal) bool {
	acts := len(who.Delegation) > 0
	switch s.Kind {
	case policy.Everyone:
		return true
	case policy.User:
		return s.Name == who.UserName
	case policy.Group:
		return oneOf(s.Name, who.Groups)
	case policy.Claim:
		for _, claim := range who.Claims {
			for _, value := range claim.Values {
				if claim.Name == s.Name && anyGlobMatches(s.Values, value) {
					return true
				}
			}
		}
		return false
	case policy.Actor:
		return acts && who.Delegation[0].Subject == s.Name
	case policy.OnBehalfOfUser:
		return acts && s.Name == who.UserName
	case policy.OnBehalfOfGroup:
		return acts && oneOf(s.Name, who.Groups)
	default:
		return s.Kind == string(who.Kind)
	}
}

// inForce says whether all conditions hold, for what restricts and for what permits.
func inForce(conditions []policy.Condition, at policy.Circumstances) (restricts, permits bool) {
	restricts, permits = true, true
	for _, c := range conditions {
		if c.Schedule != nil {
			open := isOpen(*c.Schedule, at.Time)
			restricts, permits = restricts && open, permits && open
			continue
		}
		if c.SharedCredential {
			restricts, permits = restricts && at.SharedCredential, permits && at.SharedCredential
			continue
		}
		if !at.Client.IsValid() {
			permits = false
			continue
		}
		inside := false
		for _, source := range c.Sources {
			inside = inside || holdsAddress(source, at.Client)
		}
		restricts, permits = restricts && inside, permits && inside
	}
	return restricts, permits
}

// isOpen puts windows and the time on one line of minutes, a week of them and the one
// after, and sees whether they meet.
func isOpen(s policy.Schedule, at time.Time) bool {
	const day, week = 24 * 60, 7 * 24 * 60
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return false
	}
	local := at.In(zone)
	now := int(local.Weekday())*day + local.Hour()*60 + local.Minute()
	for _, w := range s.Windows {
		length := w.End - w.Start
		if length <= 0 {
			length += day
		}
		for _, weekday := range w.Days {
			begin := int(weekday)*day + w.Start
			for _, minute := range []int{now, now + week} {
				if begin <= minute && minute < begin+length {
					return true
				}
			}
		}
	}
	return false
}

// holdsAddress compares the leading bits of a network one by one.
func holdsAddress(network string, address netip.Addr) bool {
	base, length, _ := strings.Cut(network, "/")
	bits, err := strconv.Atoi(length)
	if err != nil {
		return false
	}
	first, second := netip.MustParseAddr(base).AsSlice(), address.Unmap().AsSlice()
	if len(first) != len(second) {
		return false
	}
	for i := range bits {
		mask := byte(1) << (7 - i%8)
		if first[i/8]&mask != second[i/8]&mask {
			return false
		}
	}
	return true
}
