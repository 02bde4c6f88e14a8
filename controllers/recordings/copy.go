// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package recordings

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// slowest is how many bytes a second a reader must take while there are some: a byte now
// and then would hold a place for as long as a whole reading may take.
const slowest = 16 << 10

// patience is how long a reader may still make the manager wait: all of stallBound at the
// beginning, less what they took, more for all that they took in time.
type patience time.Duration

// taking is how long a number of bytes may take to be taken.
func (p patience) taking(n int) time.Duration {
	return time.Duration(p) + time.Duration(n)*time.Second/slowest
}

// took is what is left after a number of bytes were taken in some time.
func (p patience) took(n int, d time.Duration) patience {
	return patience(min(p.taking(n)-d, stallBound))
}

// copySteadily copies with a bound on how long the proxy may make the reader wait, and on
// how slow the reader may be.
func copySteadily(w io.Writer, control *http.ResponseController, from io.Reader, cut func()) error {
	stalled := time.AfterFunc(stallBound, cut)
	defer stalled.Stop()
	buffer := make([]byte, 64<<10)
	for left := patience(stallBound); ; {
		stalled.Reset(stallBound)
		n, err := from.Read(buffer)
		stalled.Stop()
		if n > 0 {
			begun := time.Now()
			if err := control.SetWriteDeadline(begun.Add(left.taking(n))); err != nil {
				return err
			}
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if err := control.Flush(); err != nil {
				return err
			}
			left = left.took(n, time.Since(begun))
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
