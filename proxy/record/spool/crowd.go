// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package spool

import "time"

// crowdGroups is the number of groups that a session is remembered for.
const crowdGroups = 8

// The bounds of how long a group waits for more to join, which is twice as long
// as a sync takes.
const (
	leastPatience = 50 * time.Microsecond
	mostPatience  = 500 * time.Microsecond
)

// crowd knows how many sessions wait for records again and again, so that
// enough of them share a sync: each takes the same CPU time, however many records
// it is for. Not all of them must come, so that a slow one holds up nobody. One
// session alone never waits for others, nor do two, nor any after the log has
// rested for as long as they would wait. It is the writer's own.
type crowd struct {
	// group numbers the groups, last holds how many sessions were seen last in
	// each of the latest ones.
	group uint64
	last  [crowdGroups]int
	// usual is how long a sync takes of late.
	usual time.Duration
}

// see takes note of a session that waits for a record of the group being
// written; nil is nobody's.
func (c *crowd) see(u *underWay) {
	if u == nil {
		return
	}
	if u.seen != 0 && c.group < u.seen-1+crowdGroups {
		c.last[(u.seen-1)%crowdGroups]--
	}
	u.seen = c.group + 1
	c.last[c.group%crowdGroups]++
}

// next begins the next group, and says how many must wait for it.
func (c *crowd) next() (enough int) {
	active := 0
	for _, n := range c.last {
		active += n
	}
	c.group++
	c.last[c.group%crowdGroups] = 0
	return max(1, active*7/8-1)
}

// patience takes the time of a sync, and says how long the next group waits
// for more at most.
func (c *crowd) patience(took time.Duration) time.Duration {
	c.usual += (took - c.usual) / 8
	return min(max(2*c.usual, leastPatience), mostPatience)
}
