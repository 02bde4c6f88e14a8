// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// Layer is a part of a process's work: a sample of the CPU profile belongs to
// the first layer of a list that has a function with one of its prefixes
// anywhere on its stack.
type Layer struct {
	Name     string
	Prefixes []string
}

// others is what belongs to no layer.
const others = "other"

// FetchCPU takes a CPU profile of a process that tells of itself.
func FetchCPU(ctx context.Context, address string, duration time.Duration) (*profile.Profile, error) {
	return FetchProfile(ctx, address, "profile?seconds="+strconv.Itoa(int(duration.Seconds())))
}

// FetchProfile takes a profile (net/http/pprof) of a process that tells of itself.
func FetchProfile(ctx context.Context, address, which string) (*profile.Profile, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/debug/pprof/"+which, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("cannot ask for a profile: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot take a profile: %w", err)
	}
	defer response.Body.Close()
	parsed, err := profile.Parse(response.Body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the profile: %w", err)
	}
	return parsed, nil
}

// KeepProfile writes a profile into a folder; nothing where that is empty.
func KeepProfile(p *profile.Profile, dir, name string) (err error) {
	if dir == "" {
		return nil
	}
	file, err := os.Create(filepath.Join(dir, filepath.Base(name)+".pprof"))
	if err != nil {
		return fmt.Errorf("cannot keep a profile: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return p.Write(file)
}

// PrintLayers prints a profile by layer, as a table in Markdown, with what each
// takes of the CPU time of one unit.
func PrintLayers(out io.Writer, p *profile.Profile, layers []Layer, what, unit string, cpu time.Duration) error {
	total, shares := split(p, layers)
	if total == 0 {
		return errors.New("the profile is empty")
	}
	fmt.Fprintf(out, "CPU of %s by layer, %s for each %s\n\n", what, cpu.Round(100*time.Nanosecond), unit)
	fmt.Fprintf(out, "| layer | share | for each %s |\n|---|---:|---:|\n", unit)
	for _, l := range append(layers[:len(layers):len(layers)], Layer{Name: others}) {
		if shares[l.Name] == 0 {
			continue
		}
		share := float64(shares[l.Name]) / float64(total)
		fmt.Fprintf(out, "| %s | %.1f %% | %s |\n", l.Name, 100*share, time.Duration(share*float64(cpu)).Round(100*time.Nanosecond))
	}
	fmt.Fprintln(out)
	return nil
}

// split attributes each sample's CPU time to a layer.
func split(p *profile.Profile, layers []Layer) (total int64, shares map[string]int64) {
	shares = map[string]int64{}
	value := len(p.SampleType) - 1 // CPU nanoseconds are the last value
	for _, sample := range p.Sample {
		total += sample.Value[value]
		shares[layerOf(sample, layers)] += sample.Value[value]
	}
	return total, shares
}

func layerOf(sample *profile.Sample, layers []Layer) string {
	for _, l := range layers {
		for _, location := range sample.Location {
			for _, frame := range location.Line {
				for _, prefix := range l.Prefixes {
					if strings.HasPrefix(frame.Function.Name, prefix) {
						return l.Name
					}
				}
			}
		}
	}
	return others
}
