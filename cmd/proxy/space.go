// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/doorward/doorward/proxy/kube"
	"github.com/doorward/doorward/proxy/record/spool"
	"github.com/doorward/doorward/proxy/report"
)

// How often the log is looked at, how often a problem's words are renewed, and
// between which shares of its space, in percent, that is a problem: from the
// first on, until it is below the second.
const (
	logEvery   = 2 * time.Second
	spaceEvery = 10 * time.Second
	spaceFrom  = 80
	spaceUntil = 75
)

// watchLog reports whether the log takes records, and has space for more.
func (c *connection) watchLog(ctx context.Context) {
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	space := space{problems: c.problems}
	for {
		c.checkLog()
		space.check(c.proxy.spool.Usage(), time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *connection) checkLog() {
	if err := c.proxy.spool.Err(); err != nil {
		c.problems.Set(report.LogWritable, "LogUnavailable", err.Error())
	} else {
		c.problems.Clear(report.LogWritable)
	}
}

// space turns the use of the log's space into a problem.
type space struct {
	problems *kube.Problems
	tight    bool
	told     time.Time
}

func (s *space) check(usage spool.Usage, now time.Time) {
	percent := usage.Used * 100 / max(usage.Max, 1)
	switch {
	case percent >= spaceFrom || s.tight && percent >= spaceUntil:
		// The words change all the time, and each change is a report.
		if s.tight && now.Sub(s.told) < spaceEvery {
			return
		}
		held := usage.Held
		if held == "" {
			held = "records come faster than space becomes free: make the log larger"
		}
		s.tight, s.told = true, now
		s.problems.Set(report.LogSpace, "LogFillsUp", fmt.Sprintf(
			"%d%% of the log's %d bytes are used, and operations are refused when it is full (--spool-max-bytes): %s", percent, usage.Max, held))
	case s.tight:
		s.tight = false
		s.problems.Clear(report.LogSpace)
	}
}
