// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// OpenSSH asks a program for a password where SSH_ASKPASS names one (ssh(1)). It is the plugin
// under another name, in a folder of mode 0700 with what it is to answer.
const (
	askpassName = "doorward-askpass"
	answerFile  = "answer"
	// maxAnswer is what OpenSSH's client takes from it, in bytes; it cuts off more.
	maxAnswer = 1023
)

// askpass makes the program, and returns its path. It answers when the proxy, known to ssh by
// an alias, has a user asked for a password, and nothing else: a token is not for other
// servers, such as those of ssh -J, nor for keys' passphrases.
func (s *session) askpass(user, alias string) (string, error) {
	if len(s.token) > maxAnswer {
		return "", fmt.Errorf("your token has %d bytes, and OpenSSH's client takes %d: log in at the portal, which gives SSH certificates: run \"kubectl doorward login --portal URL\"", len(s.token), maxAnswer)
	}
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot tell ssh who says the token: %w", err)
	}
	link := filepath.Join(s.folder, askpassName)
	if runtime.GOOS == "windows" {
		link += ".exe"
	}
	if err := os.Symlink(own, link); err != nil {
		// Windows lets few people make links to names.
		if other := os.Link(own, link); other != nil {
			return "", fmt.Errorf("cannot tell ssh who says the token: %w", errors.Join(err, other))
		}
	}
	answer := strings.Join(append(prompts(user, alias), s.token), "\n")
	if err := os.WriteFile(filepath.Join(s.folder, answerFile), []byte(answer), 0o600); err != nil {
		return "", fmt.Errorf("cannot tell ssh who says the token: %w", err)
	}
	return link, nil
}

// prompts are how OpenSSH asks for a password (userauth_passwd in sshconnect2.c), which cuts
// long names.
func prompts(user, host string) []string {
	return []string{
		fmt.Sprintf("%s@%s's password: ", user, host),
		fmt.Sprintf("%.30s@%.128s's password: ", user, host),
	}
}

// Asked says whether the plugin is run to answer ssh's question for a password.
func Asked(program string) bool {
	return strings.TrimSuffix(filepath.Base(program), ".exe") == askpassName
}

// Answer prints the token where the question is for it. called are the program's arguments,
// its own name first.
func Answer(called []string, out io.Writer) error {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(called[0]), answerFile))
	if err != nil {
		return fmt.Errorf("nothing to answer ssh with: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	last := len(lines) - 1
	if len(called) != 2 || !slices.Contains(lines[:last], called[1]) {
		return fmt.Errorf("ssh asks for something else than a token of the proxy: %q: it is not answered", called[1:])
	}
	_, err = fmt.Fprintln(out, lines[last])
	return err
}
