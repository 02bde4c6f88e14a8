// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pgquery asks PostgreSQL's own parser, libpg_query with the grammar of
// version 17, what it makes of a text.
//
// It is C, so that it is a process of its own: the module in server/ is built to
// bin/pgquery on first use and needs cgo. Nothing of it reaches the product.
package pgquery

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Answer is what the parser makes of a text: an error, or its statements.
type Answer struct {
	Error      string
	Statements []Statement
}

// Statement is one statement of a text. Node is the name of its parse node;
// Start and End are in bytes, from its first token to the end of its last one.
type Statement struct {
	Node       string
	Start, End int
	// Relations, Functions and Columns are the names in it, dotted, Strings its
	// string constants; each once and in order.
	Relations, Functions, Columns, Strings []string
}

// Parser is a running process. It is not safe for several goroutines at once.
type Parser struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// Start builds the process where it has to, and starts it. It ends with Close, or
// with the context.
func Start(ctx context.Context) (*Parser, error) {
	path, err := build(ctx)
	if err != nil {
		return nil, err
	}
	p := &Parser{command: exec.CommandContext(ctx, path)}
	p.command.Stderr = os.Stderr
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("cannot start PostgreSQL's parser: %w", err)
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start PostgreSQL's parser: %w", err)
	}
	p.out = bufio.NewReaderSize(out, 1<<16)
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("cannot start PostgreSQL's parser: %w", err)
	}
	return p, nil
}

// Close ends the process and waits for it.
func (p *Parser) Close() error { return errors.Join(p.in.Close(), p.command.Wait()) }

// Parse answers texts, in their order.
func (p *Parser) Parse(texts []string) ([]Answer, error) {
	written := make(chan error, 1)
	go func() { written <- p.write(texts) }()
	answers, err := p.read(len(texts))
	if err != nil {
		_ = p.in.Close() // what is still to be written has no reader
	}
	if err := errors.Join(err, <-written); err != nil {
		return nil, fmt.Errorf("PostgreSQL's parser has ended: %w", err)
	}
	return answers, nil
}

func (p *Parser) write(texts []string) error {
	w := bufio.NewWriterSize(p.in, 1<<16)
	for _, text := range texts {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(text)))
		if _, err := w.Write(size[:]); err != nil {
			return err
		}
		if _, err := w.WriteString(text); err != nil {
			return err
		}
	}
	return w.Flush()
}

func (p *Parser) read(n int) ([]Answer, error) {
	answers := make([]Answer, 0, n)
	for range n {
		var size [4]byte
		if _, err := io.ReadFull(p.out, size[:]); err != nil {
			return nil, err
		}
		document := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(p.out, document); err != nil {
			return nil, err
		}
		var a Answer
		if err := json.Unmarshal(document, &a); err != nil {
			return nil, err
		}
		answers = append(answers, a)
	}
	return answers, nil
}
