// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resilience shows what Doorward does when parts of it, or what it
// stands on, go away or are tampered with: the API server, the manager, a
// proxy, a credential, a policy, the admission policies, a snapshot. All runs on
// real components, with pgx and psql as clients and the programs under the race
// detector. The tests print what they measured.
//
// DOORWARD_OUTAGE says how long the API server stays away, as a duration; `make
// resilience` uses a full minute.
package resilience
