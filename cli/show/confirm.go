// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package show

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// ErrNotConfirmed says that whoever runs the command did not say yes.
var ErrNotConfirmed = errors.New("nothing was done: you did not type yes")

// Terminal says whether a stream is one that a person sits at.
func Terminal(stream any) bool {
	file, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}

// Confirm asks a question on the terminal. Only the word yes is a yes.
func Confirm(ctx context.Context, streams genericiooptions.IOStreams, question string) error {
	if _, err := fmt.Fprintf(streams.ErrOut, "%s Type yes: ", question); err != nil {
		return err
	}
	answer := make(chan string, 1)
	go func() {
		// Whoever interrupts the command ends it, and this with it.
		line, err := bufio.NewReader(io.LimitReader(streams.In, 64)).ReadString('\n')
		if err != nil {
			line = ""
		}
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case word := <-answer:
		if !strings.EqualFold(word, "yes") {
			return ErrNotConfirmed
		}
		return nil
	}
}
