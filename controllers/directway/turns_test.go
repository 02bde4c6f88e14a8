// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package directway

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// silence is an address that drops packets.
func silence(ctx context.Context, _ string) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(dialTimeout):
		return &net.OpError{Op: "dial", Err: timeout{}}
	}
}

// run runs a Prober for a while.
func run(t *testing.T, p *Prober, meanwhile func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Start(ctx) })
	meanwhile()
	cancel()
	running.Wait()
}

// TestFairTurns is checklist 38: whoever has many Connections with addresses that drop
// packets holds up their own, and nobody else's.
func TestFairTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{From: "here", Interval: time.Minute})
		p.dial = silence
		for i := range 1200 { // more than the workers can try in time
			name := types.NamespacedName{Namespace: fmt.Sprintf("crowd-%d", i%3), Name: fmt.Sprintf("c%d", i)}
			p.Want(name, Target{Addresses: []string{fmt.Sprintf("%s:1", name.Name)}})
		}
		p.Want(shop, Target{UID: "1", Addresses: []string{"db:5432", "standby:5432"}})
		run(t, p, func() {
			for range 48 {
				<-time.After(5 * time.Second)
				synctest.Wait()
				result, known := p.Result(shop)
				if age := time.Since(result.At); !known || age > 90*time.Second {
					t.Fatalf("what is known of a Connection beside a crowd is %s old (%t)", age, known)
				}
			}
			stale := 0
			for name := range p.wanted {
				if result, known := p.Result(name); !known || time.Now().After(result.Until) {
					stale++
				}
			}
			if stale > 1200/2 {
				t.Errorf("%d of the crowd were not tried for three intervals", stale)
			}
		})
	})
}

// TestTogether: a Connection's addresses are tried at once, and said in their order.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{})
		p.dial = silence
		target := Target{}
		for i := range 16 {
			target.Addresses = append(target.Addresses, fmt.Sprintf("db-%d:5432", i))
		}
		began := time.Now()
		result := p.try(t.Context(), target)
		if took := time.Since(began); took > dialTimeout {
			t.Errorf("16 addresses took %s, want %s", took, dialTimeout)
		}
		if fmt.Sprint(result.Closed) != fmt.Sprint(target.Addresses) {
			t.Errorf("closed %v", result.Closed)
		}
	})
}

// TestTurnsEndWell: nobody is counted as being tried who is not.
func TestTurnsEndWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Interval: time.Minute})
		p.dial = silence
		for i := range 2 * perNamespace {
			p.Want(types.NamespacedName{Namespace: "data", Name: fmt.Sprint(i)}, Target{Addresses: []string{fmt.Sprintf("db-%d:1", i)}})
		}
		run(t, p, func() {
			<-time.After(time.Second)
			synctest.Wait()
			p.mu.Lock()
			if p.turns.all != perNamespace || p.turns.running["data"] != perNamespace {
				t.Errorf("at once: %+v, want %d of one namespace", p.turns, perNamespace)
			}
			p.mu.Unlock()
			p.Forget(types.NamespacedName{Namespace: "data", Name: "0"})
			<-time.After(20 * time.Second)
		})
		if p.turns.all != 0 || len(p.turns.running) != 0 {
			t.Errorf("after the end: %+v", p.turns)
		}
	})
}

// TestStaleIsToldAnew: a result that says what the one before said, which had become too
// old, is told: something else was said meanwhile.
func TestStaleIsToldAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		p := New(Options{Interval: time.Minute, Changed: func(types.NamespacedName, Result, Result) { told++ }})
		p.dial = silence
		p.Want(shop, Target{Addresses: []string{"db:5432"}})
		p.probe(t.Context(), shop)
		p.probe(t.Context(), shop)
		<-time.After(3*time.Minute + time.Second)
		p.probe(t.Context(), shop)
		if told != 2 {
			t.Errorf("told %d times, want of the first, and of that after three intervals", told)
		}
	})
}
