// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/doorward/doorward/api/v1alpha1"
)

// maxFile bounds a file, in bytes.
const maxFile = 16 << 20

// defaultNamespace is that of objects in files that name none, as kubectl has it.
const defaultNamespace = "default"

// loadFiles reads objects from files, and from the files below folders whose names end in
// .yaml, .yml or .json. Objects of a namespaced kind that name none are in the one given.
// The error lists everything that is wrong, each with its file and line.
func loadFiles(paths []string, namespace string) (*objects, error) {
	if namespace == "" {
		namespace = defaultNamespace
	}
	loading := &loader{into: newObjects(), namespace: namespace}
	for _, path := range paths {
		files, err := filesOf(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read policies: %w", err)
		}
		for _, file := range files {
			if err := loading.file(file); err != nil {
				return nil, fmt.Errorf("cannot read policies: %w", err)
			}
		}
	}
	if len(loading.faults) > 0 {
		return nil, errors.Join(loading.faults...)
	}
	return loading.into, nil
}

// filesOf are the files that a path stands for. Of a folder, hidden files and folders and
// kustomization files are left out.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		hidden := file != path && strings.HasPrefix(name, ".")
		switch {
		case err != nil:
			return err
		case entry.IsDir() && hidden:
			return fs.SkipDir
		case entry.IsDir() || hidden || strings.TrimSuffix(name, filepath.Ext(name)) == "kustomization":
			return nil
		}
		if slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
			files = append(files, file)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%q holds no file whose name ends in .yaml, .yml or .json", path)
	}
	return files, err
}

// loader collects objects, and what is wrong with them.
type loader struct {
	into      *objects
	namespace string
	faults    []error
	seen      []string
}

func (l *loader) file(path string) error {
	if slices.Contains(l.seen, path) {
		return nil
	}
	l.seen = append(l.seen, path)
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("%q has more than %d bytes", path, maxFile)
	}
	documents, err := split(path, data)
	if err != nil {
		l.faults = append(l.faults, err)
		return nil
	}
	for i := range documents {
		l.document(&documents[i])
	}
	return nil
}

func (l *loader) fail(faults ...error) { l.faults = append(l.faults, faults...) }

func (l *loader) document(d *document) {
	var kind metav1.TypeMeta
	if err := d.loosely(&kind); err != nil {
		l.fail(err)
		return
	}
	version, err := schema.ParseGroupVersion(kind.APIVersion)
	switch {
	case kind.Kind == "" || kind.APIVersion == "":
		l.fail(&fault{d.at(), errors.New("an object without apiVersion and kind")})
	case err != nil:
		l.fail(&fault{d.at("apiVersion"), err})
	case version.Group == "" && strings.HasSuffix(kind.Kind, "List"), version.Group == v1alpha1.GroupName && strings.HasSuffix(kind.Kind, "List"):
		l.list(d)
	case version.Group != v1alpha1.GroupName && version != testVersion && lookup(d.node, "items") != nil:
		l.list(d) // kubectl applies the items, whatever the kind is said to be
	case version.Group == v1alpha1.GroupName:
		l.ours(d, version.Version, kind.Kind)
	case version == testVersion:
		l.tests(d, kind.Kind)
	case version.Group == testVersion.Group || strings.HasSuffix(version.Group, "."+v1alpha1.GroupName):
		l.fail(&fault{d.at("apiVersion"), fmt.Errorf("this version knows no %q: %s or %s", kind.APIVersion, v1alpha1.GroupVersion, testVersion)})
	case kind.APIVersion == "v1" && kind.Kind == "Namespace":
		namespace := &corev1.Namespace{}
		if l.decode(d, namespace, &namespace.ObjectMeta, false, kind.Kind) {
			l.into.namespaces[namespace.Name] = labelsOf(namespace)
		}
	case kind.APIVersion == "v1" && kind.Kind == "ConfigMap":
		config := corev1.ConfigMap{}
		if l.decode(d, &config, &config.ObjectMeta, true, kind.Kind) {
			l.into.configMaps = append(l.into.configMaps, config)
		}
	}
}

func (l *loader) list(d *document) {
	items, err := d.items()
	if err != nil {
		l.fail(err)
		return
	}
	for i := range items {
		l.document(&items[i])
	}
}

// ours reads an object of the group. Of the kinds that no decision needs, only the form
// is looked at.
func (l *loader) ours(d *document, version, kind string) {
	if faults := d.validate(kind, version); len(faults) > 0 {
		l.fail(faults...)
		return
	}
	switch kind {
	case "Connection":
		o := v1alpha1.Connection{}
		if l.decode(d, &o, &o.ObjectMeta, true, kind) {
			l.into.connections = append(l.into.connections, o)
		}
	case "AccessPolicy":
		o := v1alpha1.AccessPolicy{}
		if l.decode(d, &o, &o.ObjectMeta, true, kind) {
			l.into.policies = append(l.into.policies, o)
		}
	case "ClusterAccessPolicy":
		o := v1alpha1.ClusterAccessPolicy{}
		if l.decode(d, &o, &o.ObjectMeta, false, kind) {
			l.into.clusterPolicies = append(l.into.clusterPolicies, o)
		}
	case "IdentityProvider":
		o := v1alpha1.IdentityProvider{}
		if l.decode(d, &o, &o.ObjectMeta, false, kind) {
			l.into.providers = append(l.into.providers, o)
		}
	}
}

// decode fills an object and says whether it can be used.
func (l *loader) decode(d *document, into any, object *metav1.ObjectMeta, namespaced bool, kind string) bool {
	if faults := d.decode(into); len(faults) > 0 {
		l.fail(faults...)
		return false
	}
	if object.Name == "" {
		l.fail(&fault{d.at("metadata"), errors.New("an object without metadata.name")})
		return false
	}
	if !namespaced {
		object.Namespace = ""
	} else if object.Namespace == "" {
		object.Namespace = l.namespace
	}
	own := origin{document: d, object: objectName(kind, object.Namespace, object.Name)}
	if before, twice := l.into.origins[own.object]; twice {
		l.fail(&fault{d.at("metadata", "name"), fmt.Errorf("%s is there twice: the other is at %s", own.object, before.at("metadata", "name"))})
		return false
	}
	l.into.origins[own.object] = own
	return true
}
