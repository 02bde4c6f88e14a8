// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package proc_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/doorward/doorward/test/proc"
)

const (
	// portsVariable makes the test binary print addresses that it was given.
	portsVariable = "DOORWARD_PROC_TEST_PORTS"
	// portsEach is how many addresses each of two processes takes: by chance alone a dozen
	// of them would be the same.
	portsEach = 500
)

func printPorts() {
	for range portsEach {
		address, err := proc.FreeAddress(context.Background())
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(address)
	}
	os.Exit(0)
}

func TestNoPortIsGivenTwice(t *testing.T) {
	given := make(map[string]bool)
	for range portsEach {
		address, err := proc.FreeAddress(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if given[address] {
			t.Errorf("%s was given twice", address)
		}
		given[address] = true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), portsVariable+"=1")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	others := strings.Fields(string(out))
	if len(others) != portsEach {
		t.Fatalf("the other process has %d addresses: %s", len(others), out)
	}
	for _, address := range others {
		if given[address] {
			t.Errorf("%s was given to another process too", address)
		}
	}
	for address := range given {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Errorf("a port that was given is taken: %v", err)
			continue
		}
		_ = listener.Close()
	}
}
