// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import "strings"

// sed reads scripts that print, delete and substitute: the commands e, w, r and the flags e and w
// run commands or write files.
func sed(r *reader, _ spot, c *Command) {
	var scripts, files []Word
	given := false
	for args := c.Args; len(args) > 0; {
		some, rest, ok := r.split(c, args, grammar{
			flags: "nErsuz", valued: "e", tails: "i", words: set("quiet silent regexp-extended separate unbuffered null-data posix debug expression= in-place?"),
		})
		if !ok {
			return
		}
		for _, o := range some {
			if o.name == "e" || o.name == "expression" {
				scripts, given = append(scripts, o.value), true
			}
		}
		if len(rest) == 0 {
			break
		}
		files, args = append(files, rest[0]), rest[1:]
	}
	if !given && len(files) > 0 {
		scripts = files[:1]
	}
	for _, s := range scripts {
		if s.Form != Literal || !sedScript(s.Text) {
			r.unknown(ReasonProgram, c.Name, "the script %s may run commands or write files: use s, p, d, q, y and = only, or a, i and c at the end", quote(s.Text))
		}
	}
}

// sedScript says that a script has nothing but the commands that are read.
func sedScript(s string) bool {
	for {
		s = strings.TrimLeft(s, " \t;\n")
		if s == "" {
			return true
		}
		var ok bool
		if s, ok = sedAddress(s); !ok || s == "" {
			return false
		}
		switch command := s[0]; {
		case command == '{':
			s = s[1:]
			continue
		case strings.IndexByte("pdqnNDPhHgGx=}", command) >= 0:
			s = s[1:]
		case command == 's' || command == 'y':
			if s, ok = sedReplace(s[1:], command == 's'); !ok {
				return false
			}
		case command == 'a' || command == 'i' || command == 'c': // a text up to the end
			return !strings.ContainsAny(s, "\\\n")
		default:
			return false
		}
		rest := strings.TrimLeft(s, " \t")
		if rest != "" && strings.IndexByte(";\n}", rest[0]) < 0 {
			return false
		}
		s = rest
	}
}

// sedAddress skips one or two addresses: lines, $ and /patterns/.
func sedAddress(s string) (string, bool) {
	for range 2 {
		switch {
		case s == "":
			return s, false
		case s[0] >= '0' && s[0] <= '9':
			s = strings.TrimLeft(s, "0123456789")
		case s[0] == '$':
			s = s[1:]
		case s[0] == '/':
			var ok bool
			if s, ok = sedPart(s[1:], '/'); !ok {
				return s, false
			}
		default:
			return strings.TrimLeft(s, " !"), true
		}
		if !strings.HasPrefix(s, ",") {
			break
		}
		s = s[1:]
	}
	return strings.TrimLeft(s, " !"), true
}

// sedReplace skips the two parts and the flags of s and y.
func sedReplace(s string, flags bool) (string, bool) {
	if s == "" || strings.IndexByte("/|,#:!%@_+", s[0]) < 0 {
		return s, false
	}
	mark := s[0]
	s, ok := sedPart(s[1:], mark)
	if !ok {
		return s, false
	}
	if s, ok = sedPart(s, mark); !ok {
		return s, false
	}
	if flags {
		s = strings.TrimLeft(s, "gpiI0123456789")
	}
	return s, true
}

// sedPart skips to behind the mark. Within brackets some seds take the mark for text and others do
// not, so it must not stand there.
func sedPart(s string, mark byte) (string, bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\n':
			return s, false
		case mark:
			return s[i+1:], true
		case '[':
			n := sedBracket(s[i:])
			if n == 0 || strings.IndexByte(s[i:i+n], mark) >= 0 {
				return s, false
			}
			i += n - 1
		}
	}
	return s, false
}

// sedBracket is how long the expression in brackets is at the beginning of s; 0 where it has no end.
func sedBracket(s string) int {
	i := 1
	if strings.HasPrefix(s[i:], "^") {
		i++
	}
	if strings.HasPrefix(s[i:], "]") { // the first one is no end
		i++
	}
	for i < len(s) {
		switch {
		case s[i] == ']':
			return i + 1
		case strings.HasPrefix(s[i:], "[:"):
			end := strings.Index(s[i:], ":]")
			if end < 0 {
				return 0
			}
			i += end + 2
		case s[i] == '[', s[i] == '\\', s[i] == '\n':
			return 0
		default:
			i++
		}
	}
	return 0
}
