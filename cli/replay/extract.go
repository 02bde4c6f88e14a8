// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/doorward/doorward/cli/audit"
	"github.com/doorward/doorward/cli/recording"
	"github.com/doorward/doorward/proxy/record"
)

// fromCluster reads a session from the manager.
func (o *options) fromCluster(ctx context.Context) ([]record.Document, error) {
	read, err := o.source.Open(ctx, o.session)
	if err != nil {
		return nil, fmt.Errorf("%w (%q is no file either: for a session of files, give --records)", err, audit.Safe(o.session))
	}
	defer func() { _ = read.Close() }()
	return o.check(read, read.Verify)
}

// fromExtract reads what "audit fetch" wrote.
func (o *options) fromExtract(path string) ([]record.Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read records: %w", err)
	}
	defer func() { _ = file.Close() }()
	return o.check(file, func(r *recording.Report) error {
		if !strings.HasSuffix(r.Session, o.session) {
			return fmt.Errorf("these are the records of another session: %q", r.Session)
		}
		return nil
	})
}

// check reads and verifies an extract. Nothing is returned that is not proven, unless that
// is not wanted.
func (o *options) check(in io.Reader, wanted func(*recording.Report) error) ([]record.Document, error) {
	if o.trust.Given() {
		return nil, errors.New("a session by itself cannot be held against trusted checkpoints: give the files of a LogSink with --records")
	}
	var found []record.Document
	report, err := recording.Check(in, func(d *record.Document) error {
		if len(found) == maxEntries {
			return fmt.Errorf("the session has more than %d records: use \"kubectl doorward audit fetch\" and \"audit show\"", maxEntries)
		}
		if err := o.terminals.take(d); err != nil {
			return err
		}
		found = append(found, *d)
		return nil
	})
	if err == nil {
		err = wanted(report)
	}
	switch {
	case err != nil && o.noVerify && len(found) > 0:
		fmt.Fprintln(o.ErrOut, "warning:", audit.Safe(err.Error()))
		return found, nil
	case err != nil:
		return nil, audit.Unproven(o.ErrOut, err)
	}
	recording.PrintSummary(o.ErrOut, report)
	return found, nil
}
