// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version says which version of Doorward a command is.
package version

import "runtime/debug"

// linked is set by the linker, which says nothing where the name is wrong:
//
//	go build -ldflags "-X github.com/doorward/doorward/cmd/version.linked=v1.2.3"
var linked string

// String is the version that the command was linked with, else what the build
// knows of itself: the module's version and the commit, or "unknown".
func String() string {
	info, _ := debug.ReadBuildInfo()
	return choose(linked, info)
}

func choose(linked string, info *debug.BuildInfo) string {
	switch {
	case linked != "":
		return linked
	case info == nil || info.Main.Version == "":
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return info.Main.Version + " " + setting.Value
		}
	}
	return info.Main.Version
}
