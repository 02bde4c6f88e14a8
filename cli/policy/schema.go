// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	openapierrors "k8s.io/kube-openapi/pkg/validation/errors"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"

	"github.com/doorward/doorward/config/crd"
)

// schemas are those of the group's kinds, at the version of this build.
var schemas = sync.OnceValues(func() (map[string]*spec.Schema, error) {
	definitions, err := crd.Objects()
	if err != nil {
		return nil, err
	}
	found := map[string]*spec.Schema{}
	for i := range definitions {
		d := &definitions[i]
		for j := range d.Spec.Versions {
			raw, err := json.Marshal(d.Spec.Versions[j].Schema.OpenAPIV3Schema)
			if err != nil {
				return nil, err
			}
			schema := &spec.Schema{}
			if err := json.Unmarshal(raw, schema); err != nil {
				return nil, fmt.Errorf("cannot read schema: %q: %w", d.Name, err)
			}
			found[d.Spec.Names.Kind+"/"+d.Spec.Versions[j].Name] = schema
		}
	}
	return found, nil
})

// validate holds a document against its kind's schema, as the API server does: what must
// not be absent, is misspelt or too long. Rules in CEL are the API server's alone.
func (d *document) validate(kind, version string) []error {
	all, err := schemas()
	if err != nil {
		return []error{err}
	}
	schema, known := all[kind+"/"+version]
	if !known {
		names := slices.Sorted(maps.Keys(all))
		return []error{&fault{d.at("kind"), fmt.Errorf("this version knows no such kind of the group: %q: one of %s", kind+"/"+version, strings.Join(names, ", "))}}
	}
	var object map[string]any
	if err := json.Unmarshal(d.json, &object); err != nil {
		return []error{&fault{d.at(), err}}
	}
	// The status is the manager's, and not at stake.
	delete(object, "status")
	result := validate.NewSchemaValidator(schema, nil, "", strfmt.Default).Validate(object)
	faults := make([]error, 0, len(result.Errors))
	for _, err := range result.Errors {
		faults = append(faults, d.schemaFault(err))
	}
	return faults
}

func (d *document) schemaFault(err error) error {
	var invalid *openapierrors.Validation
	if !errors.As(err, &invalid) {
		return &fault{d.at(), err}
	}
	text := strings.ReplaceAll(invalid.Error(), " in body", "")
	return &fault{d.at(fields(invalid.Name)...), errors.New(text)}
}
