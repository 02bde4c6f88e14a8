// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrDiffers is wrapped by Verify where a live object is not the compiled-in one.
var ErrDiffers = errors.New("differs from the compiled-in object")

// Digest returns sha256:<hex> over kind, name and spec of one of the four kinds of objects
// that Objects returns. Metadata other than the name, and status, have no effect on
// enforcement and are left out. The files write out every field that the API server would
// default, so a live object has the digest of the compiled-in one.
func Digest(object client.Object) (string, error) {
	var kind string
	var spec any
	switch o := object.(type) {
	case *admissionregistrationv1.ValidatingAdmissionPolicy:
		kind, spec = "ValidatingAdmissionPolicy", o.Spec
	case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
		kind, spec = "ValidatingAdmissionPolicyBinding", o.Spec
	case *admissionregistrationv1.MutatingAdmissionPolicy:
		kind, spec = "MutatingAdmissionPolicy", o.Spec
	case *admissionregistrationv1.MutatingAdmissionPolicyBinding:
		kind, spec = "MutatingAdmissionPolicyBinding", o.Spec
	default:
		return "", fmt.Errorf("cannot compute digest: not an admission policy or binding: %T", object)
	}
	data, err := json.Marshal(struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
		Spec any    `json:"spec"`
	}{kind, object.GetName(), spec})
	if err != nil {
		return "", fmt.Errorf("cannot compute digest: %q: %w", object.GetName(), err)
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Verify says whether a live object enforces what the compiled-in one does: the same kind,
// name and spec, and not being deleted. The error wraps ErrDiffers where it does not.
func Verify(live, compiled client.Object) error {
	want, err := Digest(compiled)
	if err != nil {
		return err
	}
	got, err := Digest(live)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%T: %q: %w: apply config/admission again", live, live.GetName(), ErrDiffers)
	}
	if live.GetDeletionTimestamp() != nil {
		return fmt.Errorf("%T: %q: %w: it is being deleted; apply config/admission again", live, live.GetName(), ErrDiffers)
	}
	return nil
}
