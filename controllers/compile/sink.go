// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/kit"
	"github.com/doorward/doorward/proxy/snapshot"
)

// Sinks compiles all LogSinks of the cluster: the accepted ones, sorted by name,
// and the verdict Accepted of each by name.
func Sinks(all []v1alpha1.LogSink) ([]snapshot.Sink, map[string]kit.Verdict) {
	verdicts := make(map[string]kit.Verdict, len(all))
	accepted := make([]snapshot.Sink, 0, len(all))
	for i := range all {
		sink := &all[i]
		compiled, err := compileSink(sink)
		if err != nil {
			verdicts[sink.Name] = kit.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalid, err.Error())
			continue
		}
		verdicts[sink.Name] = kit.True(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "")
		accepted = append(accepted, compiled)
	}
	slices.SortFunc(accepted, func(a, b snapshot.Sink) int { return strings.Compare(a.Name, b.Name) })
	return accepted, verdicts
}

func compileSink(sink *v1alpha1.LogSink) (snapshot.Sink, error) {
	compiled := snapshot.Sink{Name: sink.Name, Type: string(sink.Spec.Type)}
	switch {
	case sink.Spec.Type == v1alpha1.LogSinkStdout && sink.Spec.File == nil:
		return compiled, nil
	case sink.Spec.Type == v1alpha1.LogSinkFile && sink.Spec.File != nil:
		directory := sink.Spec.File.Directory
		if !path.IsAbs(directory) || path.Clean(directory) != strings.TrimRight(directory, "/") {
			return compiled, fmt.Errorf("spec.file.directory must be an absolute path without '.' and '..': %q", directory)
		}
		compiled.File = &snapshot.FileSink{Directory: directory, MaxFileBytes: sink.Spec.File.MaxFileBytes}
		return compiled, nil
	default:
		return compiled, fmt.Errorf("type %q with its settings is needed; this manager knows Stdout and File", sink.Spec.Type)
	}
}
