// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/doorward/doorward/api/v1alpha1"
	"github.com/doorward/doorward/controllers/compile"
)

// revokedIndex finds the GatewayCredentials that are revoked among the many that are not.
const (
	revokedIndex = "doorward.dev/revoked"
	revokedValue = "true"
)

func indexRevoked(mgr ctrl.Manager) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.GatewayCredential{}, revokedIndex, func(object client.Object) []string {
		if !revoked(object) {
			return nil
		}
		return []string{revokedValue}
	})
	if err != nil {
		return fmt.Errorf("cannot index GatewayCredentials: %w", err)
	}
	return nil
}

// onRevocation passes on what makes a credential worth nothing. That one is issued, or
// gone after it has expired, is of no interest to any snapshot: what is left of it there
// goes with the next.
var onRevocation = builder.WithPredicates(predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return revoked(e.Object) },
	UpdateFunc: func(e event.UpdateEvent) bool { return revoked(e.ObjectNew) && !revoked(e.ObjectOld) },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
})

func revoked(object client.Object) bool {
	credential, ok := object.(*v1alpha1.GatewayCredential)
	return ok && compile.Revoked(credential)
}
