// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the API types of the group doorward.dev: what may be
// reached, by whom, under which conditions, and what was decided and done.
//
// No field has a default: an unset field means what its comment says, which is
// always the safest reading. Durations are whole seconds in int32 fields whose
// names end in Seconds.
//
// +kubebuilder:object:generate=true
// +groupName=doorward.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of all kinds in this package.
const GroupName = "doorward.dev"

// GroupVersion is the group and version of all kinds in this package.
var GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

var schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

// AddToScheme registers the kinds of this package with a scheme.
var AddToScheme = schemeBuilder.AddToScheme

// Resource returns the group resource of a plural resource name of this package.
func Resource(resource string) schema.GroupResource {
	return GroupVersion.WithResource(resource).GroupResource()
}

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&AccessPolicy{}, &AccessPolicyList{},
		&ApprovalRequest{}, &ApprovalRequestList{},
		&AuditLog{}, &AuditLogList{},
		&GatewayCredential{}, &GatewayCredentialList{},
		&AuditSession{}, &AuditSessionList{},
		&ClusterAccessPolicy{}, &ClusterAccessPolicyList{},
		&Connection{}, &ConnectionList{},
		&IdentityProvider{}, &IdentityProviderList{},
		&LogSink{}, &LogSinkList{},
		&Notifier{}, &NotifierList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
