// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

type rawMessage = json.RawMessage

// place is where something is written: a line of a file, or a field of an object in the
// cluster.
type place struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Object string `json:"object,omitempty"`
	Field  string `json:"field,omitempty"`
}

// String is file:line, or the object and its field.
func (p place) String() string {
	switch {
	case p.File != "":
		return p.File + ":" + strconv.Itoa(p.Line)
	case p.Field != "":
		return p.Object + " " + p.Field
	}
	return p.Object
}

// origin says where an object comes from.
type origin struct {
	// document is nil for objects of the cluster.
	document *document
	// object is kind/namespace/name.
	object string
}

// at is the place of a field, whose path holds names and numbers.
func (o origin) at(path ...any) place {
	if o.document != nil {
		return o.document.at(path...)
	}
	return place{Object: o.object, Field: join(path)}
}

// at is the line of a field; of one that is not there, that of what it would be in.
func (d *document) at(path ...any) place {
	node, line := d.node, d.offset+1
	if node != nil && node.Line > 0 {
		line = d.offset + node.Line
	}
	for _, step := range path {
		key, next := child(node, step)
		if next == nil {
			break
		}
		node = next
		// A key stands where its value may only begin on the line below.
		if line = d.offset + node.Line; key != nil {
			line = d.offset + key.Line
		}
	}
	return place{File: d.file, Line: line}
}

func lookup(node *yaml.Node, path ...any) *yaml.Node {
	for _, step := range path {
		if _, node = child(node, step); node == nil {
			return nil
		}
	}
	return node
}

// child finds a value within a node, and its key.
func child(node *yaml.Node, step any) (key, value *yaml.Node) {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node == nil {
		return nil, nil
	}
	switch step := step.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && step >= 0 && step < len(node.Content) {
			return nil, node.Content[step]
		}
	case string:
		if node.Kind != yaml.MappingNode {
			return nil, nil
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], node.Content[i+1]
			}
		}
	}
	return nil, nil
}

// fields cuts a path such as spec.rules[0].name into its steps.
func fields(path string) []any {
	var steps []any
	for part := range strings.SplitSeq(path, ".") {
		name, rest, indexed := strings.Cut(part, "[")
		if name != "" {
			if n, err := strconv.Atoi(name); err == nil {
				steps = append(steps, n)
			} else {
				steps = append(steps, name)
			}
		}
		for indexed {
			var number string
			number, rest, _ = strings.Cut(rest, "]")
			if n, err := strconv.Atoi(number); err == nil {
				steps = append(steps, n)
			}
			_, rest, indexed = strings.Cut(rest, "[")
		}
	}
	return steps
}

func join(path []any) string {
	var b strings.Builder
	for _, step := range path {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step)
		}
	}
	return b.String()
}
