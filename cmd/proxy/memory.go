// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// garbageRatio is GOGC where the environment says nothing. What lives is small,
// ten-odd megabytes and some tens of kilobytes for each session, while every
// operation leaves garbage behind: at Go's own 100 a busy proxy collects many
// times a second, which costs it a tenth of its CPU time.
const garbageRatio = 400

// memoryShare is the part of the container's memory that GOMEMLIMIT is set to
// where the environment says nothing: near it garbage is collected more often
// than garbageRatio asks, whatever lives.
const memoryShare = 0.8

// cgroupLimit is where a container finds its memory limit (Linux, cgroup-v2.rst,
// "Memory Interface Files").
const cgroupLimit = "/sys/fs/cgroup/memory.max"

// tuneMemory sets what the environment leaves open.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbageRatio)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit, ok := memoryLimit(cgroupLimit); ok {
			debug.SetMemoryLimit(limit)
		}
	}
}

// memoryLimit is what GOMEMLIMIT should be, in bytes; false where the file sets
// no limit.
func memoryLimit(path string) (int64, bool) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	if err != nil || limit <= 0 {
		return 0, false // "max" stands for none
	}
	return int64(float64(limit) * memoryShare), true
}
