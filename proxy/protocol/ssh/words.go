// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package ssh

import (
	"fmt"
	"strings"
	"time"

	"github.com/doorward/doorward/proxy/access"
	"github.com/doorward/doorward/proxy/record"
)

const (
	// maxWords bounds what others wrote in what callers are told, in bytes.
	maxWords = 1 << 10
	// maxLine bounds a line of a hint: a command that was cut would be another one.
	maxLine = 32 << 10
)

// hereDocument is how a command ends whose input follows it, up to a line hereEnd and nothing
// else (POSIX, XCU section 2.7.4).
const (
	hereDocument = "<<'" + hereEnd + "'"
	hereEnd      = "EOF"
)

// said is a refusal for a terminal, in lines that end as terminals in raw mode need it.
func said(refusal *access.Refusal) string {
	if refusal == nil {
		return ""
	}
	text := "Doorward: " + plain(refusal.Message) + "\r\n"
	for line := range strings.SplitSeq(refusal.Detail(), "\n") {
		if line != "" {
			text += "  " + plain(line) + "\r\n"
		}
	}
	// Commands are pasted as they stand here.
	margin := "  "
	for line := range strings.SplitSeq(refusal.Hint, "\n") {
		if line == "" {
			continue
		}
		text += margin + visible(cut(line, maxLine)) + "\r\n"
		switch {
		case strings.HasSuffix(line, hereDocument):
			margin = ""
		case line == hereEnd:
			margin = "  "
		}
	}
	return text
}

// brief is a refusal in one line, as the reason for which a channel was not opened.
func brief(refusal *access.Refusal) string {
	return strings.TrimSpace("Doorward: " + plain(refusal.Message) + ". " + plain(refusal.Hint))
}

// plain keeps what callers, approvers, issuers and targets wrote from drawing on a terminal, from
// passing for something else, and from being long.
func plain(s string) string { return visible(cut(s, maxWords)) }

// cut bounds a text, in bytes.
func cut(s string, limit int) string {
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}

// visible makes white space a blank, and shows what deceives as records show it.
func visible(s string) string {
	// A byte that is no UTF-8 may be a control character to a terminal that reads another encoding.
	s = strings.ToValidUTF8(s, "\ufffd")
	if strings.IndexFunc(s, func(r rune) bool { return r != ' ' && record.Deceives(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n', r == '\r', r == '\t', r == ' ':
			b.WriteByte(' ')
		case record.Deceives(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// waiting tells how to approve what is held, and how to go ahead without where the caller may.
func waiting(what string, notice access.Notice, now time.Time) string {
	var b strings.Builder
	for _, r := range notice.Requests {
		fmt.Fprintf(&b, "Doorward: %s waits for approval until %s (%s): ApprovalRequest %q\r\n", plain(what),
			r.ExpiresAt.UTC().Format(time.RFC3339), r.ExpiresAt.Sub(now).Round(time.Second), r.Name)
		fmt.Fprintf(&b, "  Operation digest %s. Ctrl-C withdraws the request; where it does not, disconnect (Enter and ~.).\r\n", r.Digest)
		fmt.Fprintf(&b, "  An approver runs: %s\r\n", approveCommand(r))
	}
	if notice.BreakGlass != "" {
		fmt.Fprintf(&b, "  If it cannot wait, go ahead without, to be reviewed afterwards; then ask again: %s\r\n", plain(notice.BreakGlass))
	}
	return b.String()
}

// approveCommand is the patch that approves one request, for a POSIX shell.
func approveCommand(r access.Request) string {
	return fmt.Sprintf(`kubectl -n %s patch approvalrequest %s --type=json -p '[{"op":"test","path":"/metadata/uid","value":%q},`+
		`{"op":"add","path":"/spec/decisions/-","value":{"verdict":"Approve","operationDigest":%q}}]'`, r.Namespace, r.Name, r.UID, r.Digest)
}
