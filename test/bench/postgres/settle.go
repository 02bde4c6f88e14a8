// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	"github.com/doorward/doorward/test/stack"
)

var lagLine = regexp.MustCompile(`^doorward_sink_lag_records\{sink="([^"]*)"\} (\S+)$`)

// settle waits until a proxy delivers to this LogSink alone and owes it nothing:
// what one path's turn left to do must not be taken from the next one's, and
// belongs to the CPU time of its own.
func settle(ctx context.Context, p *stack.Proxy, sink string) error {
	ctx, cancel := context.WithTimeout(ctx, stack.ReadyTimeout)
	defer cancel()
	return stack.Await(ctx, func(ctx context.Context) error {
		owed, err := lags(ctx, p)
		if err != nil {
			return err
		}
		lag, found := owed[sink]
		if !found || len(owed) != 1 {
			return fmt.Errorf("the proxy delivers to other LogSinks than %q: %v", sink, owed)
		}
		if lag > 0 {
			return fmt.Errorf("%.0f records are not delivered to LogSink %q yet", lag, sink)
		}
		return nil
	})
}

// lags are the records that each LogSink has not acknowledged.
func lags(ctx context.Context, p *stack.Proxy) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.HealthAddress+"/metrics", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("cannot read the proxy's figures: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot read the proxy's figures: %w", err)
	}
	defer response.Body.Close()
	found := map[string]float64{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if match := lagLine.FindStringSubmatch(lines.Text()); match != nil {
			if found[match[1]], err = strconv.ParseFloat(match[2], 64); err != nil {
				return nil, fmt.Errorf("cannot read the proxy's figures: %w", err)
			}
		}
	}
	return found, lines.Err()
}
