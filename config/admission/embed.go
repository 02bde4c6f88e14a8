// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admission holds the admission policies that decide who may write
// ApprovalRequests, AuditLogs, AuditSessions, GatewayCredentials and the reports of proxies.
// The manager compiles them in, so that it can tell whether the live ones are still these.
package admission

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// DefaultManagerUser is the Kubernetes user name that the files name as the manager.
const DefaultManagerUser = "system:serviceaccount:doorward-system:doorward-manager"

// managerVariable is the variable that holds the manager's user name, as a CEL string.
const managerVariable = "manager"

//go:embed approvalrequest_*.yaml auditlog_*.yaml auditsession_*.yaml gatewaycredential_*.yaml proxy_*.yaml
var files embed.FS

// Objects returns every policy and binding, sorted by file, with managerUser as the
// manager; an empty one means DefaultManagerUser. The objects are
// ValidatingAdmissionPolicies, MutatingAdmissionPolicies and their bindings of
// admissionregistration.k8s.io/v1, with kind and apiVersion set. The caller owns them.
func Objects(managerUser string) ([]client.Object, error) {
	if managerUser == "" {
		managerUser = DefaultManagerUser
	}
	literal, err := celString(managerUser)
	if err != nil {
		return nil, fmt.Errorf("invalid manager user: %w", err)
	}

	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("cannot list admission policies: %w", err)
	}
	var objects []client.Object
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read admission policies: %w", err)
		}
		parsed, err := parse(data)
		if err != nil {
			return nil, fmt.Errorf("cannot parse admission policies: %q: %w", name, err)
		}
		objects = append(objects, parsed...)
	}
	for _, object := range objects {
		if policy, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicy); ok {
			for i := range policy.Spec.Variables {
				if policy.Spec.Variables[i].Name == managerVariable {
					policy.Spec.Variables[i].Expression = literal
				}
			}
		}
	}
	return objects, nil
}

// parse splits a file into its objects. An unknown kind or field is an error.
func parse(data []byte) ([]client.Object, error) {
	var objects []client.Object
	documents := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(data)))
	defer func() { _ = documents.Close() }()
	buffer := make([]byte, len(data))
	for {
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, err := decode(buffer[:n])
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

func decode(document []byte) (client.Object, error) {
	var meta struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return nil, err
	}
	object, err := empty(meta.Kind)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return nil, err
	}
	return object, nil
}

// empty returns an object of one of the four kinds.
func empty(kind string) (client.Object, error) {
	switch kind {
	case "ValidatingAdmissionPolicy":
		return &admissionregistrationv1.ValidatingAdmissionPolicy{}, nil
	case "ValidatingAdmissionPolicyBinding":
		return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, nil
	case "MutatingAdmissionPolicy":
		return &admissionregistrationv1.MutatingAdmissionPolicy{}, nil
	case "MutatingAdmissionPolicyBinding":
		return &admissionregistrationv1.MutatingAdmissionPolicyBinding{}, nil
	default:
		return nil, fmt.Errorf("unknown kind: %q", kind)
	}
}

// celString writes a user name as a CEL string literal.
func celString(s string) (string, error) {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == '\'' || r == '\\' {
			return "", fmt.Errorf("user name has a control character, quote or backslash: %q", s)
		}
	}
	return "'" + strings.Clone(s) + "'", nil
}
