// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// tool reads the arguments of a program that can run others. The command is noted already;
// c may move when more are, so it is read before.
type tool func(r *reader, at spot, c *Command)

// tools are the programs that are looked into, by name without a version. It is filled in by
// init, since most of them read commands in turn.
var tools map[string]tool

func init() {
	tools = map[string]tool{
		"env": env, "nice": wrapper(niceness), "nohup": wrapper(grammar{}), "timeout": timeout, "setsid": wrapper(grammar{flags: "cfw", words: set("ctty fork wait")}),
		"stdbuf": wrapper(grammar{valued: "ioe", words: set("input= output= error=")}), "ionice": wrapper(idleness), "time": wrapper(grammar{flags: "p", words: set("portability")}),
		"watch": watch, "xargs": xargs, "find": find, "flock": flock, "script": script, "busybox": multicall, "toybox": multicall,
		"sudo": sudo, "doas": doas, "su": su, "chroot": chroot, "unshare": unshare, "nsenter": nsenter, "ssh": ssh,
		"sed": sed, "gsed": sed, "awk": awk, "gawk": awk, "mawk": awk, "nawk": awk, "original-awk": awk,
		"git": git, "systemctl": systemctl, "crontab": crontab, "rsync": rsync,
		"dpkg": dpkg, "rpm": rpm, "openssl": openssl, "slogin": ssh,
	}
	for name := range shells {
		tools[name] = shell
	}
	for name := range interpreters {
		tools[name] = interpreter
	}
	for name := range opaque {
		tools[name] = never
	}
	for name, g := range guarded {
		tools[name] = g.check
	}
	for name, p := range clients {
		tools[name] = p.read
	}
}

// gnu are programs of GNU that have a g in front where the system has others.
var gnu = set("env find xargs timeout nice nohup stdbuf sort split install chroot runcon time updatedb")

// toolOf finds the reader of a program: python3.7m is python, nc.traditional is nc, bash-static is a
// bash, and x86_64-linux-gnu-gcc-12 is gcc.
func toolOf(name string) tool {
	if t := tools[name]; t != nil {
		return t
	}
	if strings.HasPrefix(name, "git-") && !gitServers[name] {
		return never
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".exe")
	if strings.HasPrefix(name, "ld-") || strings.HasPrefix(name, "ld.") || strings.HasPrefix(name, "libc.") {
		return never // the dynamic linker runs what it is given
	}
	if _, native, cross := strings.Cut(name, "-linux-gnu-"); cross {
		name = native
	}
	stem := name
	if i := strings.IndexAny(name, "0123456789."); i > 0 {
		stem = strings.TrimRight(name[:i], "-")
	}
	if plain, found := strings.CutPrefix(stem, "g"); found && gnu[plain] {
		stem = plain
	}
	for _, n := range []string{name, stem} {
		if t := tools[n]; t != nil {
			return t
		}
	}
	if kind, _, _ := strings.Cut(stem, "-"); shells[kind] || interpreters[kind] || kind == "busybox" || kind == "toybox" {
		return tools[kind]
	}
	return nil
}

// paged refuses a program that would page on a terminal.
func (r *reader) paged(at spot, c *Command) {
	if !at.terminal {
		return
	}
	for _, w := range c.Args {
		if w.Form == Literal && w.Text == "--no-pager" {
			return
		}
	}
	r.unknown(ReasonProgram, c.Name, "%s shows its output with a pager, which runs commands by keys: add --no-pager, or ask for no terminal", c.Name)
}
