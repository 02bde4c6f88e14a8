// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// document is one document of a YAML file, or one item of a List in it.
type document struct {
	file string
	// offset is the number of lines of the file before the document's text.
	offset int
	json   []byte
	node   *yaml.Node
}

// fault is what is wrong at a place of a file.
type fault struct {
	place place
	err   error
}

// Error says the place first, as compilers do.
func (f *fault) Error() string { return fmt.Sprintf("%s: %v", f.place, f.err) }
func (f *fault) Unwrap() error { return f.err }

// split cuts a file into its documents; empty ones are left out.
func split(file string, data []byte) ([]document, error) {
	var all []document
	var text bytes.Buffer
	start, number := 0, 0
	flush := func() error {
		defer text.Reset()
		d, err := parse(file, start, text.Bytes())
		if err == nil && d != nil {
			all = append(all, *d)
		}
		return err
	}
	for line := range bytes.Lines(data) {
		number++
		rest, marker := bytes.CutPrefix(line, []byte("---"))
		if !marker || len(rest) > 0 && !strings.ContainsRune(" \t\r\n", rune(rest[0])) {
			text.Write(line)
			continue
		}
		if rest = bytes.TrimSpace(rest); len(rest) > 0 && rest[0] != '#' {
			return nil, &fault{place{File: file, Line: number}, fmt.Errorf("text beside the marker of a document: begin it on the next line")}
		}
		if err := flush(); err != nil {
			return nil, err
		}
		start = number
	}
	return all, flush()
}

// parse reads one document, nil where it is empty. JSON is made of it as kubectl does,
// and its nodes tell the lines.
func parse(file string, offset int, text []byte) (*document, error) {
	d := &document{file: file, offset: offset, node: &yaml.Node{}}
	var err error
	if d.json, err = sigsyaml.YAMLToJSONStrict(text); err != nil {
		return nil, d.yamlFault(err)
	}
	if string(d.json) == "null" {
		return nil, nil
	}
	stream := yaml.NewDecoder(bytes.NewReader(text))
	if err := stream.Decode(d.node); err != nil {
		return nil, d.yamlFault(err)
	}
	// A document can end without the marker that the file was cut at. Some programs would
	// read on, and this one would not have looked.
	if err := stream.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, &fault{d.at(), errors.New("text after the end of the document: begin another with a line of its own that holds ---")}
	}
	if len(d.node.Content) != 1 || d.node.Content[0].Kind != yaml.MappingNode {
		return nil, &fault{d.at(), fmt.Errorf("no object: an object with apiVersion and kind is needed")}
	}
	d.node = d.node.Content[0]
	return d, nil
}

var lineOf = regexp.MustCompile(`line (\d+): ?`)

// yamlFault finds the line that a parser's error tells, which counts from the beginning
// of the document.
func (d *document) yamlFault(err error) error {
	text, line := err.Error(), d.offset+1
	if found := lineOf.FindStringSubmatchIndex(text); found != nil {
		if n, convErr := strconv.Atoi(text[found[2]:found[3]]); convErr == nil {
			line = d.offset + n
			text = text[:found[0]] + text[found[1]:]
		}
	}
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:"} {
		text = strings.TrimPrefix(text, prefix)
	}
	text = strings.Join(strings.Fields(text), " ")
	return &fault{place{File: d.file, Line: line}, fmt.Errorf("%s", text)}
}

// decode fills an object, and refuses keys that it does not have.
func (d *document) decode(into any) []error {
	strict, err := kjson.UnmarshalStrict(d.json, into)
	if err != nil {
		return []error{&fault{d.at(), err}}
	}
	faults := make([]error, 0, len(strict))
	for _, err := range strict {
		where := d.at()
		if field, ok := err.(kjson.FieldError); ok { //nolint:errorlint // the library returns them bare
			where = d.at(fields(field.FieldPath())...)
		}
		faults = append(faults, &fault{where, err})
	}
	return faults
}

// loosely fills what the object has a place for.
func (d *document) loosely(into any) error {
	if err := kjson.UnmarshalCaseSensitivePreserveInts(d.json, into); err != nil {
		return &fault{d.at(), err}
	}
	return nil
}

// items are the documents of a List.
func (d *document) items() ([]document, error) {
	list := lookup(d.node, "items")
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil, &fault{d.at(), fmt.Errorf("a List without items")}
	}
	var raw struct {
		Items []rawMessage `json:"items"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(d.json, &raw); err != nil || len(raw.Items) != len(list.Content) {
		return nil, &fault{d.at("items"), fmt.Errorf("items are no list of objects")}
	}
	all := make([]document, len(raw.Items))
	for i := range raw.Items {
		all[i] = document{file: d.file, offset: d.offset, json: raw.Items[i], node: list.Content[i]}
	}
	return all, nil
}
