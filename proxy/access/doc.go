// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package access is the road from a caller to a target. Each step returns the
// only value on which the next can be called:
//
//	Entry.Authenticate(credential) -> Caller
//	Caller.Authorize(session)      -> Grant    (the session start is on record)
//	Grant.Dial                     -> upstream connection and credential
//	Grant.Decide(request)          -> Permit   (the decision is on record)
//	Permit.Recording(part)                     (what a terminal showed is on record)
//	Permit.Done(result)                        (the result goes on record)
//
// A protocol cannot make an Entry, a Caller, a Grant or a Permit itself, so it
// cannot skip a step. Refusals come back as *Refusal, with a reason and the
// next thing to do; the protocol says them in its own words.
//
// A Gate serves one Connection. It holds the snapshot in force, swaps it
// atomically, and ends or narrows live sessions when rights go away.
package access
