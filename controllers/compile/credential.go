// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/doorward/doorward/api/v1alpha1"
)

// CredentialFault says why a Connection's proxies must not be given the Secret that
// it names; nil where they may. The others are all Connections of its namespace.
func CredentialFault(c *v1alpha1.Connection, all []v1alpha1.Connection) error {
	secret := c.Spec.Credential.Secret
	if secret == nil {
		return nil
	}
	if reserved(secret.Name) {
		return fmt.Errorf("spec.credential.secret.name: %q is a name of the manager's own Secrets: give the credential Secret another name", secret.Name)
	}
	if other := sharesCredential(c, all); other != "" {
		return fmt.Errorf("spec.credential.secret.name: Connection %q names Secret %q too, which would let the proxies of one read "+
			"the credential of the other: a credential Secret belongs to one Connection", other, secret.Name)
	}
	return nil
}

// sharesCredential names another Connection of the namespace with the same
// credential Secret; empty for none. The one that was accepted as it is before the
// other came keeps it: nobody ends its sessions by naming its Secret. Where neither
// or both were, both are refused: which of them the Secret names is not known here,
// since nobody but proxies reads it.
func sharesCredential(c *v1alpha1.Connection, all []v1alpha1.Connection) string {
	for i := range all {
		other := &all[i]
		secret := other.Spec.Credential.Secret
		if other.Namespace != c.Namespace || other.Name == c.Name || secret == nil || secret.Name != c.Spec.Credential.Secret.Name {
			continue
		}
		if !acceptedAsIs(c) || acceptedAsIs(other) {
			return other.Name
		}
	}
	return ""
}

// acceptedAsIs says whether a Connection was accepted with its present spec.
func acceptedAsIs(c *v1alpha1.Connection) bool {
	accepted := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionAccepted)
	return accepted != nil && accepted.Status == metav1.ConditionTrue && accepted.ObservedGeneration == c.Generation
}

// reserved says whether the manager reads or writes a Secret of that name: a
// credential must not be one.
func reserved(name string) bool {
	return strings.HasPrefix(name, "doorward-") &&
		(strings.HasSuffix(name, "-snapshot") || strings.HasSuffix(name, "-serving") || strings.HasSuffix(name, "-sinks") || name == "doorward-ca" || name == "doorward-ssh-host-ca" ||
			name == "doorward-snapshot-key" || name == "doorward-witness-key" || name == "doorward-mask-key" || name == "doorward-login-key")
}
