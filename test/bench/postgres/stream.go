// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/doorward/doorward/proxy/policy"
	"github.com/doorward/doorward/test/bench/kit"
)

// streamed are tables of twelve columns with some 500 bytes in a row: the names
// say how many of them are masked.
var streamed = []struct {
	table  string
	masked int
}{{"public.wide_0", 0}, {"public.wide_1", 1}, {"public.wide_10", 10}}

// Rows of a table, and about how many bytes each has as a message.
const (
	wideRows = 50_000
	wideRow  = 530
)

// benchStream measures large results.
func benchStream(ctx context.Context, s settings, p *place) error {
	var masks []policy.Mask
	for _, t := range streamed {
		if err := fillWide(ctx, p, t.table); err != nil {
			return err
		}
		var fields []string
		for i := range t.masked {
			fields = append(fields, fmt.Sprintf("%s.c%d", t.table, i+1))
		}
		if len(fields) > 0 {
			masks = append(masks, mask(strings.TrimPrefix(t.table, "public."), fields...))
		}
	}
	relay, err := p.relay(ctx)
	if err != nil {
		return err
	}
	opened, err := p.tlsRelay(ctx)
	if err != nil {
		return err
	}
	proxy, err := p.partial(ctx, layer{name: doorward, spec: partialSpec{Log: logEncode}, masks: masks})
	if err != nil {
		return err
	}
	// What the proxy refuses need not be read on the other paths.
	paths := []path{proxy, p.direct(), relay, opened}
	if s.rival != "" {
		p.build = s.rival
		rival, err := p.partial(ctx, layer{name: "rival: " + doorward, spec: partialSpec{Log: logEncode}, masks: masks})
		p.build = ""
		if err != nil {
			return err
		}
		paths = append(paths, rival)
	}
	times := max(s.size/(wideRows*wideRow), 1)
	for _, t := range streamed {
		for _, kind := range []string{"SELECT", "COPY"} {
			text := fmt.Sprintf("SELECT w.* FROM %s w, generate_series(1, %d)", t.table, times)
			if kind == "COPY" {
				text = "COPY (" + text + ") TO STDOUT"
			}
			what := fmt.Sprintf("%s, %d masked", kind, t.masked)
			took, err := streamAll(ctx, s, paths, what, text)
			if err != nil {
				return err
			}
			if took > 0 && kind == "SELECT" {
				if err := profileStream(ctx, s, proxy, what, text, took); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func fillWide(ctx context.Context, p *place, table string) error {
	conn, err := connect(ctx, p.direct())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	columns, values := []string{"id int PRIMARY KEY"}, []string{"i"}
	for i := range 11 {
		columns = append(columns, fmt.Sprintf("c%d text", i+1))
		values = append(values, fmt.Sprintf("left(md5((i * 11 + %d)::text) || md5(i::text), 41)", i))
	}
	_, err = conn.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (%s); INSERT INTO %s SELECT %s FROM generate_series(1, %d) i; ANALYZE %s",
		table, strings.Join(columns, ", "), table, strings.Join(values, ", "), wideRows, table)).ReadAll()
	if err != nil {
		return fmt.Errorf("cannot fill %q: %w", table, err)
	}
	return nil
}

// flow is one reading of a large result.
type flow struct {
	bytes     int64
	took, cpu time.Duration
}

// streamAll lets the paths take turns at one result, and prints what came of
// it. It returns how long the proxy took, 0 where it refuses.
func streamAll(ctx context.Context, s settings, paths []path, what, text string) (time.Duration, error) {
	best := map[string]flow{}
	for range max(s.rounds/2, 1) {
		for _, p := range paths {
			f, err := stream(ctx, p, text)
			var refused *pgconn.PgError
			if errors.As(err, &refused) {
				fmt.Printf("%s: refused through %s: %s\n\n", what, p.name, refused.Message)
				return 0, nil
			}
			if err != nil {
				return 0, fmt.Errorf("%s through %s: %w", what, p.name, err)
			}
			fmt.Fprintf(os.Stderr, "sample\t%s, %s\t%.0f\t%s\n", what, p.name, float64(f.bytes)/1e6/f.took.Seconds(), f.cpu*1e6/time.Duration(f.bytes))
			if b, ok := best[p.name]; !ok || f.took < b.took {
				best[p.name] = f
			}
		}
	}
	perSecond := func(bytes int64, t time.Duration) float64 { return float64(bytes) / 1e6 / t.Seconds() }
	fmt.Printf("| %s | MB | MB/s | of relay | of relay with TLS | MB/s for each core of the path | of relay with TLS |\n|---|---:|---:|---:|---:|---:|---:|\n", what)
	for _, p := range paths {
		f, ok := best[p.name]
		if !ok {
			continue
		}
		// The relay passes what the target sends; a path that masks sends other
		// bytes. Both are measured by what the target sends.
		bytes := best[direct].bytes
		rate := perSecond(bytes, f.took)
		fmt.Printf("| %s | %.0f | %.0f | %.2f | %.2f |", p.name, float64(f.bytes)/1e6, rate,
			rate/perSecond(bytes, best[relayName].took), rate/perSecond(bytes, best[layerTLS].took))
		if p.pid == 0 {
			fmt.Printf(" | |\n")
			continue
		}
		core := perSecond(bytes, f.cpu)
		fmt.Printf(" %.0f | %.2f |\n", core, core/perSecond(bytes, best[layerTLS].cpu))
	}
	fmt.Println()
	return best[doorward].took, nil
}

// profileStream splits the proxy's CPU time for each MB of a result into layers.
func profileStream(ctx context.Context, s settings, p path, what, text string, took time.Duration) error {
	type taken struct {
		profile *profile.Profile
		err     error
	}
	result := make(chan taken, 1)
	go func() {
		var t taken
		t.profile, t.err = kit.FetchCPU(ctx, p.telling, took+time.Second)
		result <- t
	}()
	f, err := stream(ctx, p, text)
	got := <-result
	if err := errors.Join(err, got.err); err != nil {
		return err
	}
	return printProfile(s, got.profile, strings.NewReplacer(" ", "-", ",", "").Replace(what), fmt.Sprintf("%s of %s", p.name, what), "MB", f.cpu*1e6/time.Duration(f.bytes))
}

// stream reads one result and throws it away.
func stream(ctx context.Context, p path, text string) (flow, error) {
	conn, err := connect(ctx, p)
	if err != nil {
		return flow{}, err
	}
	if err := conn.SyncConn(ctx); err != nil {
		return flow{}, err
	}
	raw, err := conn.Hijack()
	if err != nil {
		return flow{}, err
	}
	defer raw.Conn.Close()
	before, err := kit.CPUTime(p.pid)
	if err != nil {
		return flow{}, err
	}
	began := time.Now()
	query := binary.BigEndian.AppendUint32([]byte{'Q'}, uint32(4+len(text)+1))
	if _, err := raw.Conn.Write(append(append(query, text...), 0)); err != nil {
		return flow{}, err
	}
	bytes, err := discard(bufio.NewReaderSize(raw.Conn, 256<<10))
	if err != nil {
		return flow{}, err
	}
	took := time.Since(began)
	after, err := kit.CPUTime(p.pid)
	return flow{bytes: bytes, took: took, cpu: after - before}, err
}

// discard reads messages up to ReadyForQuery and counts their bytes.
func discard(r *bufio.Reader) (total int64, err error) {
	const header = 5
	var failure error
	for {
		head, err := r.Peek(header)
		if err != nil {
			return total, err
		}
		kind, length := head[0], int(binary.BigEndian.Uint32(head[1:]))
		if kind == 'E' {
			body, err := r.Peek(1 + length)
			if err != nil {
				return total, err
			}
			failure = &pgconn.PgError{Message: strings.ReplaceAll(string(body[header:]), "\x00", " ")}
		}
		n, err := r.Discard(1 + length)
		total += int64(n)
		if err != nil || kind == 'Z' {
			return total, errors.Join(failure, err)
		}
	}
}

// connect connects as pgbench would.
func connect(ctx context.Context, p path) (*pgconn.PgConn, error) {
	var words []string
	for _, setting := range p.env {
		name, value, _ := strings.Cut(setting, "=")
		if key, ok := libpqKeys[name]; ok {
			words = append(words, key+"="+value)
		}
	}
	config, err := pgx.ParseConfig(strings.Join(words, " "))
	if err != nil {
		return nil, fmt.Errorf("cannot connect through %s: %w", p.name, err)
	}
	config.RuntimeParams = map[string]string{}
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot connect through %s: %w", p.name, err)
	}
	return conn, nil
}

// libpqKeys are the keywords of libpq's variables.
var libpqKeys = map[string]string{
	"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGDATABASE": "dbname", "PGPASSWORD": "password",
	"PGSSLMODE": "sslmode", "PGSSLROOTCERT": "sslrootcert", "PGCHANNELBINDING": "channel_binding",
}
