// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"strings"
)

// operations of systemctl that are named alike in every version; edit, which starts an editor, is
// not among them.
var unitVerbs = set("status show cat is-active is-enabled is-failed list-units list-unit-files list-timers list-sockets list-jobs list-dependencies list-machines " +
	"start stop restart reload try-restart reload-or-restart enable disable reenable mask unmask kill daemon-reload daemon-reexec reset-failed " +
	"isolate reboot poweroff halt suspend hibernate get-default set-default set-property preset is-system-running rescue emergency default freeze thaw clean revert link add-wants add-requires kexec exit show-environment cancel")

// unitFiles are those operations that take files of units, too.
var unitFiles = set("enable reenable link preset")

// systemctl resolves the operation, which policies match.
func systemctl(r *reader, at spot, c *Command) {
	g := grammar{
		flags: "lqarf", valued: "tpnos", words: set("all full quiet no-pager no-legend plain failed system user no-block no-ask-password now force runtime recursive reverse value state= type= property= lines= output= signal= kill-who= kill-whom= what= with-dependencies"),
	}
	args, behind := c.Args, []Word(nil)
	if i := slices.IndexFunc(args, func(w Word) bool { return w.Form == Literal && w.Text == "--" }); i >= 0 {
		args, behind = args[:i], args[i+1:]
	}
	var operands []Word
	for len(args) > 0 {
		_, rest, ok := r.split(c, args, g)
		if !ok {
			return
		}
		if len(rest) == 0 {
			break
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
	operands = append(operands, behind...)
	if len(operands) > 0 {
		if operands[0].Form != Literal || !unitVerbs[operands[0].Text] {
			r.unknown(ReasonProgram, c.Name, "systemctl %s is an operation that is not read: it may start an editor or a pager, or tell services what to run", quote(operands[0].Text))
			return
		}
		c.Verb = operands[0].Text
	}
	r.paged(at, c)
	if unitFiles[c.Verb] {
		for _, w := range operands[1:] {
			if w.Form != Literal || strings.Contains(w.Text, "/") {
				r.file(at, c, []Word{w})
			}
		}
	}
}
