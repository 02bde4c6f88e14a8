// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crd holds the CustomResourceDefinitions, so that the plugin can hold files
// against the schemas that the API server would.
package crd

import (
	"embed"
	"fmt"
	"io/fs"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

//go:embed bases/*.yaml
var files embed.FS

// Objects returns every CustomResourceDefinition, sorted by file. The caller owns them.
func Objects() ([]apiextensionsv1.CustomResourceDefinition, error) {
	names, err := fs.Glob(files, "bases/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("cannot list definitions: %w", err)
	}
	objects := make([]apiextensionsv1.CustomResourceDefinition, len(names))
	for i, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read definitions: %w", err)
		}
		if err := yaml.UnmarshalStrict(data, &objects[i]); err != nil {
			return nil, fmt.Errorf("cannot parse definitions: %q: %w", name, err)
		}
	}
	return objects, nil
}
