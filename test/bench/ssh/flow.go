// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// flow is a way to move content.
type flow struct {
	name string
	size int64
	// command makes the client that moves it.
	command func(ctx context.Context, m *master) (*exec.Cmd, error)
	// arrives is the file that holds the content afterwards; none where empty.
	arrives string
}

// terminalShare is the part of the content that goes to a terminal, which is slow.
const terminalShare = 8

// flows are all of them, in both directions.
func (p *place) flows(s settings) ([]flow, error) {
	content, lines := filepath.Join(p.content, "content"), filepath.Join(p.content, "lines")
	there, back := filepath.Join(p.content, "there"), filepath.Join(p.content, "back")
	if err := fill(content, s.size, noise()); err != nil {
		return nil, err
	}
	if err := fill(lines, s.size/terminalShare, text()); err != nil {
		return nil, err
	}
	batch := func(name, command string) ([]string, error) {
		file := p.file(name)
		return []string{"-b", file}, os.WriteFile(file, []byte(command+"\n"), 0o600)
	}
	put, err := batch("put", "put "+content+" "+there)
	if err != nil {
		return nil, fmt.Errorf("cannot write what sftp is to do: %w", err)
	}
	get, err := batch("get", "get "+content+" "+back)
	if err != nil {
		return nil, fmt.Errorf("cannot write what sftp is to do: %w", err)
	}
	all := []flow{
		{name: "sftp put", size: s.size, arrives: there, command: func(ctx context.Context, m *master) (*exec.Cmd, error) {
			return p.over(ctx, m, "sftp", put), nil
		}},
		{name: "sftp get", size: s.size, arrives: back, command: func(ctx context.Context, m *master) (*exec.Cmd, error) {
			return p.over(ctx, m, "sftp", get), nil
		}},
		{name: "exec, to the target", size: s.size, command: func(ctx context.Context, m *master) (*exec.Cmd, error) {
			input, err := os.Open(content)
			command := p.over(ctx, m, "ssh", nil, "cat >/dev/null")
			command.Stdin = input // its descriptor is the client's own
			return command, err
		}},
		{name: "exec, to the client", size: s.size, command: func(ctx context.Context, m *master) (*exec.Cmd, error) {
			return p.over(ctx, m, "ssh", nil, "cat "+content), nil
		}},
		{name: "terminal", size: s.size / terminalShare, command: func(ctx context.Context, m *master) (*exec.Cmd, error) {
			return p.over(ctx, m, "ssh", []string{"-tt"}, "cat "+lines), nil
		}},
	}
	var wanted []flow
	for _, f := range all {
		if strings.Contains(f.name, s.only) {
			wanted = append(wanted, f)
		}
	}
	return wanted, nil
}

// noise is what no compression and no repetition makes smaller.
func noise() []byte {
	block := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(block) // never fails
	return block
}

// text is lines as a log has them.
func text() []byte {
	var lines bytes.Buffer
	random := rand.New(rand.NewPCG(1, 1))
	for lines.Len() < 1<<20 {
		fmt.Fprintf(&lines, "Nov 23 15:04:05 web-1 nginx[%d]: 192.0.2.%d \"GET /orders/%d HTTP/1.1\" 200 %d\n",
			random.IntN(9999), random.IntN(255), random.Uint32(), random.IntN(99999))
	}
	return lines.Bytes()[:1<<20]
}

// fill writes a file of a size out of a block.
func fill(name string, size int64, block []byte) error {
	file, err := os.Create(filepath.Clean(name))
	if err != nil {
		return fmt.Errorf("cannot write content: %w", err)
	}
	defer file.Close()
	for written := int64(0); written < size; written += int64(len(block)) {
		if _, err := file.Write(block[:min(int64(len(block)), size-written)]); err != nil {
			return fmt.Errorf("cannot write content: %w", err)
		}
	}
	return file.Close()
}

// sample is one turn.
type sample struct {
	took time.Duration
	// cpu is the CPU time of the process in between.
	cpu time.Duration
}

// move lets a client move content once.
func (f flow) move(ctx context.Context, m *master) (sample, error) {
	if f.arrives != "" {
		if err := os.RemoveAll(f.arrives); err != nil {
			return sample{}, err
		}
	}
	command, err := f.command(ctx, m)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", f.name, err)
	}
	if file, ok := command.Stdin.(*os.File); ok {
		defer file.Close()
	}
	before, err := m.cpu()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	if err := finish(command, m.path); err != nil {
		return sample{}, fmt.Errorf("%s: %w", f.name, err)
	}
	got := sample{took: time.Since(began)}
	after, err := m.cpu()
	if err != nil {
		return sample{}, err
	}
	got.cpu = after - before
	if f.arrives != "" {
		about, err := os.Stat(f.arrives)
		if err != nil {
			return sample{}, fmt.Errorf("%s through %s: %w", f.name, m.name, err)
		}
		if about.Size() != f.size {
			return sample{}, fmt.Errorf("%s through %s: %d of %d bytes arrived", f.name, m.name, about.Size(), f.size)
		}
	}
	return got, nil
}
