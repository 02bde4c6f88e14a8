// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crash shows that nothing is executed at the target that is not on
// record (promise 2), whatever happens to the proxy, to its disk and to its
// clock: it is killed, its log's last sectors are damaged, the disk is full or
// read-only, the clock jumps back, the process is stopped for a while.
//
// All runs on the real components. The account is made of the target's own log,
// of the log on the proxy's disk, of what the sink received, and of what the
// clients were answered.
//
// DOORWARD_LONG=1, as `make resilience` sets it, kills the proxy 200 times for
// each setting. DOORWARD_SEED repeats the moments of an earlier run.
// DOORWARD_PROGRAMS is a folder with the programs manager and proxy to run
// instead of building them.
package crash
