// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// What stands in config/ for what an installation may choose.
const (
	namespace = "doorward-system"
	account   = "doorward-manager"
)

const (
	namespaceTemplate = "{{ .Release.Namespace }}"
	accountTemplate   = `{{ include "doorward.serviceAccountName" . }}`
)

// escape writes a source so that the template engine gives it back unchanged.
var escape = strings.NewReplacer("{{", `{{ "{{" }}`, "}}", `{{ "}}" }}`)

// definition makes the template of a CustomResourceDefinition.
func definition(_, text string) (string, error) {
	text = strings.TrimPrefix(escape.Replace(text), "---\n")
	return inMetadata(text, func(d *document) {
		d.under("labels", `{{- include "doorward-crds.labels" . | nindent 4 }}`)
		d.under("annotations", `{{- include "doorward-crds.annotations" . | nindent 4 }}`)
	})
}

// policy makes the template of admission policies and their bindings. The manager compares
// the specs with those it has compiled in: nothing but its own name may be set in them.
func policy(_, text string) (string, error) {
	return inMetadata(installed(escape.Replace(text)), func(d *document) { d.ours(`"doorward.labels" .`) })
}

// role makes the template of roles and their bindings. Roles for people can be left out, and be
// aggregated to those that Kubernetes has.
func role(name, text string) (string, error) {
	condition := ".Values.rbac.create"
	add := func(d *document) { d.ours(`"doorward.labels" .`) }
	if name == "user_roles.yaml" {
		condition = "and .Values.rbac.create .Values.rbac.userRoles"
		add = func(d *document) { d.ours(`"doorward.roleLabels" (dict "role" "` + d.name() + `" "root" $)`) }
	}
	text, err := inMetadata(installed(escape.Replace(text)), add)
	return "{{- if " + condition + " }}\n" + text + "{{- end }}\n", err
}

// installed puts the namespace and the ServiceAccount of the installation in.
func installed(text string) string {
	text = strings.ReplaceAll(text, "serviceaccount:"+namespace+":"+account, "serviceaccount:"+namespaceTemplate+":"+accountTemplate)
	text = strings.ReplaceAll(text, "- kind: ServiceAccount\n    name: "+account+"\n", "- kind: ServiceAccount\n    name: "+accountTemplate+"\n")
	return strings.ReplaceAll(text, namespace, namespaceTemplate)
}

// inMetadata adds to every document of a file.
func inMetadata(text string, add func(*document)) (string, error) {
	var documents []string
	for _, source := range strings.Split(text, "\n---\n") {
		d := &document{lines: strings.Split(strings.TrimSuffix(source, "\n"), "\n")}
		if !slices.Contains(d.lines, "metadata:") || d.name() == "" {
			return "", fmt.Errorf("want metadata with a name, in block style: %.60q", source)
		}
		add(d)
		documents = append(documents, strings.Join(d.lines, "\n"))
	}
	return strings.Join(documents, "\n---\n") + "\n", nil
}

// A document is one object of a file, in lines. The files are our own, in block style, with
// two columns for each level.
type document struct{ lines []string }

// ours adds what every object of the chart doorward has.
func (d *document) ours(labels string) {
	d.under("labels", "{{- include "+labels+" | nindent 4 }}")
	d.insert("metadata:", `  {{- include "doorward.annotations" (list .Values.commonAnnotations) }}`)
}

// under adds a line to the map under a key of the metadata, which is made where there is none.
func (d *document) under(key, line string) {
	if _, found := d.find("  " + key + ":"); !found {
		d.insert("metadata:", "  "+key+":")
	}
	d.insert("  "+key+":", "    "+line)
}

func (d *document) name() string {
	at, found := d.find("  name: ")
	if !found {
		return ""
	}
	return strings.TrimPrefix(d.lines[at], "  name: ")
}

// insert adds a line behind the first in the metadata that begins so, which must be there.
func (d *document) insert(behind, line string) {
	at, _ := d.find(behind)
	d.lines = slices.Insert(d.lines, at+1, line)
}

// find returns the first line from "metadata:" to the end of the metadata that begins so.
func (d *document) find(prefix string) (at int, found bool) {
	start := slices.Index(d.lines, "metadata:")
	for at = start; at < len(d.lines) && (at == start || strings.HasPrefix(d.lines[at], "  ")); at++ {
		if strings.HasPrefix(d.lines[at], prefix) {
			return at, true
		}
	}
	return 0, false
}
