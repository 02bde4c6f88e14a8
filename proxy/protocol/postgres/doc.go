// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package postgres speaks PostgreSQL's frontend/backend protocol 3.0 on both
// sides of the road: to the client as a server, to the target as a client.
//
// Messages are framed here (one type byte, then a length that counts itself).
// What decides something is decoded strictly; everything else passes as the
// bytes that came. Two pumps run a session: the requests pump reads the client,
// decides and forwards; the answers pump reads the target, masks and returns.
// They share the protocol state (state.go): what the target still owes an
// answer for, the prepared statements and portals that its answers confirm,
// and the transaction status.
//
// A refusal is given in the order of the protocol. Where the target is idle and
// owes nothing, the proxy answers by itself. Otherwise it sends the target a
// message that must fail (a Bind of a statement that does not exist) and puts
// the refusal in the place of the target's error: so the refusal comes in its
// turn, and it aborts the transaction as every error of PostgreSQL does.
package postgres
