// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"strings"
)

// xargs runs a command with words that it reads, which stand behind it or are put into its words.
func xargs(r *reader, at spot, c *Command) {
	given, rest, ok := r.split(c, c.Args, grammar{
		flags: "0rtpxo", valued: "nLPsEdaI", tails: "lie",
		words: set("null no-run-if-empty verbose interactive exit open-tty show-limits max-args= max-procs= max-lines? max-chars= replace? delimiter= arg-file= eof?"),
	})
	if !ok {
		return
	}
	if len(rest) == 0 {
		rest = []Word{{Text: "echo"}}
	}
	// Which of several options is in force, programs settle differently: all of them are.
	words, appends, replaces := slices.Clone(rest), false, false
	for _, o := range given {
		switch o.name {
		case "n", "L", "l", "max-args", "max-lines":
			appends = true
		case "I", "i", "replace":
			mark := o.value
			if mark.Text == "" && mark.Form == Literal && o.name != "I" {
				mark.Text = "{}"
			}
			if mark.Form != Literal || mark.Text == "" {
				r.unknown(ReasonExpansion, c.Name, "what xargs replaces is not in the text: use -I{}")
				return
			}
			words, replaces = holes(words, mark.Text), true
		}
	}
	if appends || !replaces {
		words = append(words, Word{Form: Open})
	}
	r.runs(at, c, words)
}

// holes makes words in which something is replaced words of which only the beginning is certain.
func holes(words []Word, mark string) []Word {
	out := make([]Word, len(words))
	for i, w := range words {
		if before, _, found := strings.Cut(w.Text, mark); found {
			w = Word{Text: before, Form: max(w.Form, Partial)}
		}
		out[i] = w
	}
	return out
}

// What find's tests and actions take: that many arguments each.
var findTests = map[string]int{}

func init() {
	for name := range set("-H -L -P ( ) ! -not -a -and -o -or , -depth -d -daystart -follow -mount -xdev -noleaf -warn -nowarn " +
		"-ignore_readdir_race -noignore_readdir_race -empty -executable -readable -writable -nogroup -nouser -true -false -print -print0 -ls -prune -quit -O0 -O1 -O2 -O3") {
		findTests[name] = 0
	}
	for name := range set("-maxdepth -mindepth -amin -anewer -atime -cmin -cnewer -ctime -fstype -gid -group -ilname -iname -inum -ipath -iregex " +
		"-iwholename -links -lname -mmin -mtime -name -newer -path -perm -regex -regextype -samefile -size -type -uid -used -user -wholename -xtype -context -printf -newermt -newerct -newerat -newermm -D") {
		findTests[name] = 1
	}
}

// find reads an expression: -exec and its like run commands, -delete is read as rm, and -fprint and
// its like write files.
func find(r *reader, at spot, c *Command) {
	args := c.Args
	for i := 0; i < len(args); i++ {
		w := args[i]
		if w.Form != Literal {
			if !startingPoint(w) {
				r.unknown(ReasonExpansion, c.Name, "an argument of find may be an action: put it into quotes behind a test, or a directory before it")
				return
			}
			continue
		}
		takes, test := findTests[w.Text]
		switch {
		case w.Text == "" || startingPoint(w) && !test:
		case test && takes < len(args)-i:
			if i += takes; args[i].Form > Partial {
				r.unknown(ReasonExpansion, c.Name, "what find compares with %s may be several words: put it into quotes", w.Text)
				return
			}
		case w.Text == "-delete":
			r.add(at.outsideOf(c), Command{Name: "rm", Args: []Word{{Form: Open}}})
		case w.Text == "-fprint" || w.Text == "-fprint0" || w.Text == "-fls" || w.Text == "-fprintf":
			i++
			if i == len(args) {
				return
			}
			r.open(args[i], File{Write: true}, "find "+w.Text)
			if w.Text == "-fprintf" {
				i++
			}
		case w.Text == "-exec" || w.Text == "-execdir" || w.Text == "-ok" || w.Text == "-okdir":
			end, ok := r.executed(at, c, args[i+1:])
			if !ok {
				return
			}
			i += 1 + end
		default:
			r.unknown(ReasonProgram, c.Name, "find %s is not read: leave it out", quote(w.Text))
			return
		}
	}
}

// startingPoint says that a word is certainly a file that find starts from.
func startingPoint(w Word) bool {
	if w.home {
		return true
	}
	return w.Text != "" && w.Form != Open && strings.IndexByte("-(),!", w.Text[0]) < 0
}

// executed reads the command of an -exec and says where it ends.
func (r *reader) executed(at spot, c *Command, args []Word) (int, bool) {
	for i, w := range args {
		if w.Form > Partial {
			r.unknown(ReasonExpansion, c.Name, "the command of -exec may be several words: put each into quotes")
			return 0, false
		}
		if w.Form == Partial && strings.Trim(w.Text, ";+") == "" {
			r.unknown(ReasonExpansion, c.Name, "a word that is not in the text may end the command of -exec: put ./ before it")
			return 0, false
		}
		if w.Form == Literal && w.Text == "+" && (i == 0 || args[i-1].Form != Literal || args[i-1].Text != "{}") {
			r.unknown(ReasonDialects, c.Name, "+ ends the command of -exec in some versions of find: write {} before it, or quote another word")
			return 0, false
		}
		if w.Form == Literal && (w.Text == ";" || w.Text == "+") {
			words := holes(args[:i], "{}")
			if w.Text == "+" {
				words[i-1] = Word{Form: Open} // as many files as fit
			}
			r.run(at.outsideOf(c), words, nil)
			return i, true
		}
	}
	r.unknown(ReasonSyntax, c.Name, "the command of -exec has no end")
	return 0, false
}
