// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"

	"github.com/doorward/doorward/proxy/record"
)

// Exit says how a program ended; empty where nobody said. It is not neutralised.
func Exit(x *record.ExitDocument) string {
	switch {
	case x == nil:
		return ""
	case x.Signal != "" && x.CoreDumped:
		return "ended by signal " + x.Signal + " with a core image"
	case x.Signal != "":
		return "ended by signal " + x.Signal
	case x.Status != nil:
		return fmt.Sprintf("exit status %d", *x.Status)
	}
	return ""
}

// Transfers say what contents went which way, each by itself. They are not neutralised.
func Transfers(r *record.ResultDocument) []string {
	if r == nil {
		return nil
	}
	var all []string
	for i := range r.Transfers {
		all = append(all, transfer(&r.Transfers[i]))
	}
	if left := r.TransfersTruncated - int64(len(r.Transfers)); left > 0 {
		all = append(all, fmt.Sprintf("and %d transfers more", left))
	}
	return all
}

func transfer(t *record.TransferDocument) string {
	text := string(t.Direction)
	switch t.Direction {
	case record.ToTarget:
		text = "to the target"
	case record.ToCaller:
		text = "to the caller"
	}
	if t.Name != "" {
		// Blanks within a name are the name's own.
		text += fmt.Sprintf(" %q", t.Name)
	}
	text += fmt.Sprintf(": %d bytes", t.Bytes)
	if t.Offset != 0 {
		text += fmt.Sprintf(" from byte %d on", t.Offset)
	}
	switch {
	case t.Digest != "":
		text += ", " + t.Digest
	case t.Undigested != "":
		text += ", no digest: " + t.Undigested
	}
	return text
}
