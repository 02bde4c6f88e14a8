// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// absent as a value of an edit removes the field.
type absent struct{}

// edits are changes of an object by dotted path; numbers are indexes of lists.
type edits map[string]any

// edited returns a copy of an object with changes made to it.
func edited(object *unstructured.Unstructured, changes edits) *unstructured.Unstructured {
	result := object.DeepCopy()
	for path, value := range changes {
		set(result, path, value)
	}
	return result
}

// set changes one field. It panics on a path that cannot be walked: the test is wrong then.
func set(object *unstructured.Unstructured, path string, value any) {
	put(object.Object, strings.Split(path, "."), value)
}

func put(container any, path []string, value any) {
	last := len(path) == 1
	switch c := container.(type) {
	case map[string]any:
		if !last {
			if _, ok := c[path[0]]; !ok {
				c[path[0]] = map[string]any{}
			}
			put(c[path[0]], path[1:], value)
			return
		}
		if _, ok := value.(absent); ok {
			delete(c, path[0])
			return
		}
		c[path[0]] = value
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil {
			panic("not an index: " + path[0])
		}
		if last {
			c[i] = value
			return
		}
		put(c[i], path[1:], value)
	default:
		panic("cannot walk into " + path[0])
	}
}

// names returns a list of n different strings.
func names(n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = "n" + strconv.Itoa(i)
	}
	return list
}

// repeat returns a list of n copies of an item, each with a different value of the field.
func repeat(n int, field string, item map[string]any) []any {
	list := make([]any, n)
	for i := range list {
		c := map[string]any{}
		for k, v := range item {
			c[k] = v
		}
		c[field] = "n" + strconv.Itoa(i)
		list[i] = c
	}
	return list
}

// field returns the value at a dotted path. It panics where there is none.
func field(container any, path string) any {
	for _, part := range strings.Split(path, ".") {
		switch c := container.(type) {
		case map[string]any:
			container = c[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil {
				panic("not an index: " + part)
			}
			container = c[i]
		default:
			panic("cannot walk into " + part)
		}
	}
	return container
}
