// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// Clocks that differ by more are told of, and those by much more fail: tokens and
	// grants are good for minutes, and freshness is proven by the second.
	skewWarn = 5 * time.Second
	skewFail = 30 * time.Second
	// dateStep is how exact the header Date is.
	dateStep = time.Second
)

// lookAtServer asks whether the API server is there, and what time it has.
func lookAtServer(ctx context.Context, e *examiner) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(e.config.Host, "/")+"/version", http.NoBody)
	if err != nil {
		e.lost = true
		e.fail("check the kubeconfig's server", "cannot ask the API server: %v", err)
		return
	}
	began := time.Now()
	response, err := e.http.Do(request)
	if err != nil {
		e.lost = true
		e.fail("check the kubeconfig, its context, and the way to the cluster", "the API server does not answer: %v", err)
		return
	}
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	_ = response.Body.Close()
	took := time.Since(began)
	if response.StatusCode == http.StatusUnauthorized {
		e.lost = true
		e.fail("log in at the cluster again", "the API server does not know you: HTTP status %d", response.StatusCode)
		return
	}
	e.ok("the API server answers")
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		e.warn("compare the clock of this machine with the control plane's", "the API server does not say what time it has")
		return
	}
	// It was asked between began and now, and cuts off what is less than a second.
	middle := began.Add(took / 2)
	skew := middle.Sub(date.Add(dateStep / 2))
	e.now = func() time.Time { return time.Now().Add(-skew) }
	if size := skew.Abs() - took/2 - dateStep/2; size > skewWarn {
		text, remedy := "this machine's clock is %s off the API server's", "synchronize the clocks by NTP: tokens and grants are judged by them"
		if size > skewFail {
			e.fail(remedy, text, skew.Round(time.Second))
		} else {
			e.warn(remedy, text, skew.Round(time.Second))
		}
		return
	}
	e.ok("this machine's clock agrees with the API server's")
}
