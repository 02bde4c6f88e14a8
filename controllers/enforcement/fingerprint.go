// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package enforcement proves that the admission policies are in force.
//
// A decision on an ApprovalRequest is a stamp that anybody could forge while the
// policies are away. [Prover] therefore keeps an interval: since when the live
// policies and bindings have been the compiled-in ones, untouched, and forged
// requests were refused. The interval is named by a fingerprint over kind, name,
// UID and generation of each object: one that was deleted and made again, or
// changed and changed back, has another fingerprint, so that an interval that
// was interrupted never looks whole afterwards.
package enforcement

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/config/admission"
)

// ErrNotEnforced is wrapped by every error that means that admission was found
// not to be enforced, in contrast to errors in finding out.
var ErrNotEnforced = errors.New("admission is not enforced")

// fingerprint reads every policy and binding from the API server, compares it
// with the compiled-in one, and returns the name of the interval.
func fingerprint(ctx context.Context, reader client.Reader, compiled []client.Object) (string, error) {
	live, err := liveObjects(ctx, reader)
	if err != nil {
		return "", err
	}
	lines := make([]string, 0, len(compiled))
	for _, want := range compiled {
		name := kindOf(want) + "/" + want.GetName()
		object, ok := live[name]
		if !ok {
			return "", fmt.Errorf("%w: %s is missing: apply config/admission", ErrNotEnforced, name)
		}
		if err := admission.Verify(object, want); err != nil {
			return "", fmt.Errorf("%w: %w", ErrNotEnforced, err)
		}
		lines = append(lines, fmt.Sprintf("%s %s %d", name, object.GetUID(), object.GetGeneration()))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:]), nil
}

// liveObjects returns all policies and bindings by kind and name.
func liveObjects(ctx context.Context, reader client.Reader) (map[string]client.Object, error) {
	live := map[string]client.Object{}
	for _, list := range []client.ObjectList{
		&admissionregistrationv1.ValidatingAdmissionPolicyList{}, &admissionregistrationv1.ValidatingAdmissionPolicyBindingList{},
		&admissionregistrationv1.MutatingAdmissionPolicyList{}, &admissionregistrationv1.MutatingAdmissionPolicyBindingList{},
	} {
		if err := reader.List(ctx, list); err != nil {
			return nil, fmt.Errorf("cannot list admission policies: %w", err)
		}
		err := meta.EachListItem(list, func(item runtime.Object) error {
			object, ok := item.(client.Object)
			if !ok {
				return fmt.Errorf("cannot read admission policies: %T is no object", item)
			}
			live[kindOf(object)+"/"+object.GetName()] = object
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("cannot list admission policies: %w", err)
		}
	}
	return live, nil
}

func kindOf(object client.Object) string {
	kind := fmt.Sprintf("%T", object)
	return kind[strings.LastIndex(kind, ".")+1:]
}
