// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/doorward/doorward/test/stack"
)

// A Go program asks the kernel's vDSO for the time, past the C library, so that
// no preloaded library can tell it another. wrongTime replaces the vDSO's
// clock_gettime in one process's memory: it asks the kernel, and adds the
// seconds that follow it where the time of day was asked for.
//
//	mov  eax, 228 (clock_gettime)
//	syscall
//	test edi, edi (CLOCK_REALTIME)
//	jne  end
//	mov  rcx, [seconds]
//	add  [rsi], rcx
//	end: ret
//	seconds: 8 bytes at offset 24
var wrongTime = []byte{
	0xb8, 0xe4, 0, 0, 0, 0x0f, 0x05, 0x85, 0xff, 0x75, 0x0a,
	0x48, 0x8b, 0x0d, 6, 0, 0, 0, 0x48, 0x01, 0x0e, 0xc3, 0xcc, 0xcc,
	0, 0, 0, 0, 0, 0, 0, 0,
}

const wrongSeconds = 24

// clock is the clock of one process.
type clock struct {
	memory string
	at     int64
}

// clockOf takes over the clock of a proxy until it ends. The test is skipped
// where that cannot be done.
func clockOf(t *testing.T, proxy *stack.Proxy) clock {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("a process is given a clock of its own by changing its vDSO, which this test can do on linux/amd64 only")
	}
	process := "/proc/" + strconv.Itoa(proxy.PID())
	c := clock{memory: filepath.Join(process, "mem")}
	first, end, err := vdso(process)
	if err != nil {
		t.Fatal(err)
	}
	image := make([]byte, end-first)
	if err := c.access(os.O_RDONLY, func(m *os.File) error { _, err := m.ReadAt(image, first); return err }); err != nil {
		t.Skipf("the memory of another process cannot be read here: %v", err)
	}
	offset, err := clockGettime(image)
	if err != nil {
		t.Fatal(err)
	}
	c.at = first + offset
	await(t, "no thread within the vDSO", func(context.Context) error {
		if err := proxy.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		err := outside(process, first, end)
		if err == nil {
			err = c.write(c.at, wrongTime)
		}
		return errors.Join(err, proxy.Signal(syscall.SIGCONT))
	})
	return c
}

// set puts the clock forward, or back where negative, from the true time.
func (c clock) set(t *testing.T, by time.Duration) {
	t.Helper()
	seconds := binary.LittleEndian.AppendUint64(nil, uint64(int64(by/time.Second)))
	if err := c.write(c.at+wrongSeconds, seconds); err != nil {
		t.Fatal(err)
	}
}

func (c clock) write(at int64, b []byte) error {
	return c.access(os.O_WRONLY, func(m *os.File) error { _, err := m.WriteAt(b, at); return err })
}

func (c clock) access(flag int, use func(*os.File) error) error {
	memory, err := os.OpenFile(c.memory, flag, 0)
	if err != nil {
		return fmt.Errorf("cannot open the memory of the proxy: %w", err)
	}
	return errors.Join(use(memory), memory.Close())
}

// vdso is where a process has it.
func vdso(process string) (first, end int64, err error) {
	maps, err := os.ReadFile(filepath.Join(process, "maps"))
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read the mappings of the proxy: %w", err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(line, "[vdso]\n") {
			if _, err := fmt.Sscanf(line, "%x-%x", &first, &end); err != nil {
				return 0, 0, fmt.Errorf("cannot read mapping %q: %w", line, err)
			}
			return first, end, nil
		}
	}
	return 0, 0, errors.New("the proxy has no vDSO")
}

// clockGettime finds the function, and makes sure that wrongTime fits it.
func clockGettime(image []byte) (offset int64, err error) {
	file, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, fmt.Errorf("cannot read the vDSO: %w", err)
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return 0, fmt.Errorf("cannot read the vDSO: %w", err)
	}
	for _, symbol := range symbols {
		if symbol.Name == "__vdso_clock_gettime" && symbol.Size >= uint64(len(wrongTime)) {
			return int64(symbol.Value), nil
		}
	}
	return 0, errors.New("the vDSO has no clock_gettime of a size to replace")
}

// outside says whether all threads of a process are stopped, and none within a range.
func outside(process string, first, end int64) error {
	threads, err := filepath.Glob(filepath.Join(process, "task", "*"))
	if err != nil || len(threads) == 0 {
		return fmt.Errorf("cannot read the threads of the proxy: %w", err)
	}
	for _, thread := range threads {
		state, err := read(filepath.Join(thread, "stat"))
		if err != nil {
			return err
		}
		if _, after, _ := strings.Cut(state, ") "); !strings.HasPrefix(after, "T") {
			return fmt.Errorf("a thread is not stopped: %s", state)
		}
		call, err := read(filepath.Join(thread, "syscall"))
		if err != nil {
			return err
		}
		var counter int64
		fields := strings.Fields(call)
		if _, err := fmt.Sscanf(fields[len(fields)-1], "0x%x", &counter); err != nil {
			return fmt.Errorf("cannot tell where a thread is: %q", call)
		}
		if counter >= first && counter < end {
			return errors.New("a thread is asking for the time")
		}
	}
	return nil
}

func read(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot read a thread's state: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		return "", fmt.Errorf("cannot read a thread's state: %w", err)
	}
	return string(content), nil
}
