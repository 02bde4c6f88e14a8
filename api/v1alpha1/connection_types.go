// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Placement says where a Connection's proxy runs.
// +kubebuilder:validation:Enum=Managed;External
type Placement string

const (
	// PlacementManaged runs the proxy in this cluster.
	PlacementManaged Placement = "Managed"

	// PlacementExternal expects an enrolled proxy, beside the target.
	PlacementExternal Placement = "External"
)

// SpoolVolume asks for a volume claim that keeps a proxy's log.
type SpoolVolume struct {
	// size is the requested storage, for example 10Gi.
	// +required
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="size must be a quantity above zero, for example 10Gi"
	Size resource.Quantity `json:"size,omitempty"`

	// storageClassName is the storage class of the claim. Unset means the
	// cluster's default class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName string `json:"storageClassName,omitempty"`
}

// ManagedProxy describes a proxy that the manager runs in this cluster.
// +kubebuilder:validation:MinProperties=1
type ManagedProxy struct {
	// replicas is the number of proxy pods. Unset means 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	Replicas int32 `json:"replicas,omitempty"`

	// port is the port of the Service that callers connect to. Unset means the
	// protocol's usual port.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// spool asks for a volume claim per pod that keeps the log over restarts.
	// The proxy is then a StatefulSet. Unset means an emptyDir, which goes with
	// the pod, and a Deployment; only audit.durability Remote is accepted then.
	// +optional
	Spool *SpoolVolume `json:"spool,omitempty"`

	// drainSeconds is how long sessions may go on after their pod was told to
	// stop, in a rollout or when its node is drained. A session that is left then
	// is ended with a word of why. Unset means 30.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	DrainSeconds *int32 `json:"drainSeconds,omitempty"`
}

// ExternalProxy describes an enrolled proxy that runs beside the target.
type ExternalProxy struct {
	// serverNames are the DNS names and IP addresses under which callers reach
	// the proxy; its serving certificate carries them. The first is shown as the
	// endpoint.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="isIP(self) || !format.dns1123Subdomain().validate(self).hasValue()",message="a server name must be a lower-case DNS name or an IP address"
	ServerNames []string `json:"serverNames,omitempty"`

	// port is the port under which callers reach the proxy. Unset means the
	// protocol's usual port.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// Proxy says where the Connection's proxy runs.
// +union
// +kubebuilder:validation:XValidation:rule="self.placement == 'Managed' || !has(self.managed)",message="managed is forbidden when placement is External"
// +kubebuilder:validation:XValidation:rule="self.placement == 'External' ? has(self.external) : !has(self.external)",message="external is required when placement is External, and forbidden otherwise"
type Proxy struct {
	// placement is Managed (the manager runs the proxy in this cluster) or
	// External (an enrolled proxy runs beside the target).
	// +unionDiscriminator
	// +required
	Placement Placement `json:"placement,omitempty"`

	// maxStalenessSeconds is how long a proxy may go on without proof that its
	// snapshot is fresh. Afterwards it refuses new sessions and ends live ones.
	// Unset means 300.
	// +optional
	// +kubebuilder:validation:Minimum=30
	// +kubebuilder:validation:Maximum=3600
	MaxStalenessSeconds int32 `json:"maxStalenessSeconds,omitempty"`

	// managed describes a Managed proxy. Unset means all its fields are unset.
	// +unionMember
	// +optional
	Managed *ManagedProxy `json:"managed,omitempty"`

	// external describes an External proxy.
	// +unionMember
	// +optional
	External *ExternalProxy `json:"external,omitempty"`
}

// SessionLimits bounds every session of a Connection.
// +kubebuilder:validation:MinProperties=1
type SessionLimits struct {
	// maxDurationSeconds ends a session at that age. Unset means that only the
	// expiry of the caller's token ends it.
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	MaxDurationSeconds int32 `json:"maxDurationSeconds,omitempty"`

	// idleTimeoutSeconds ends a session in which nothing was sent for that long.
	// Unset means no idle timeout.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	IdleTimeoutSeconds int32 `json:"idleTimeoutSeconds,omitempty"`

	// maxConcurrent is the number of sessions that one proxy instance serves at
	// the same time for this Connection. Unset means 1000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxConcurrent int32 `json:"maxConcurrent,omitempty"`
}

// ConnectionSpec describes a target and the way to it.
// +kubebuilder:validation:XValidation:rule="self.proxy.placement != 'Managed' || (has(self.proxy.managed) && has(self.proxy.managed.spool)) || (has(self.audit) && has(self.audit.durability) && self.audit.durability == 'Remote')",message="without a volume claim, the records of a Managed proxy go with its pod: set proxy.managed.spool, or set audit.durability to Remote and define a LogSink of a remote type"
// +kubebuilder:validation:XValidation:rule="self.credential.type != 'File' || self.proxy.placement == 'External'",message="a credential of type File needs proxy.placement External; use a Secret for a Managed proxy"
// +kubebuilder:validation:XValidation:rule="!has(self.isolation) || self.proxy.placement == 'Managed'",message="isolation needs proxy.placement Managed: the manager cannot close the network around an External proxy"
type ConnectionSpec struct {
	// protocol is the name of the protocol that the target speaks, for example
	// postgres. It cannot be changed.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=31
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9-]{0,30}$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="protocol cannot be changed; create another Connection"
	Protocol string `json:"protocol,omitempty"`

	// targets are the addresses of the target, tried in order.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Targets []Target `json:"targets,omitempty"`

	// tls says how the way to the target is protected. Unset means VerifyFull
	// with the authorities of the system the proxy runs on.
	// +optional
	TLS *TargetTLS `json:"tls,omitempty"`

	// credential is what the proxy shows to the target. Callers never see it.
	// +required
	Credential TargetCredential `json:"credential,omitzero"`

	// options are settings of the protocol, as its documentation page lists them.
	// An unknown key, or more than 16 KiB, is reported as Accepted=False.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:pruning:PreserveUnknownFields
	Options *runtime.RawExtension `json:"options,omitempty"`

	// proxy says where the proxy runs.
	// +required
	Proxy Proxy `json:"proxy,omitzero"`

	// session bounds every session. Unset means that all its fields are unset.
	// +optional
	Session *SessionLimits `json:"session,omitempty"`

	// audit says how the trail is kept. Unset means that all its fields are unset.
	// +optional
	Audit *AuditSettings `json:"audit,omitempty"`

	// isolation closes the way round the proxies and checks whether it is closed.
	// Unset means that the target's own network is left as it is, and nothing is
	// tried. Managed placement only.
	// +optional
	Isolation *Isolation `json:"isolation,omitempty"`
}

// SnapshotStatus says which snapshot was published last.
type SnapshotStatus struct {
	// revision counts the snapshots of this Connection, from 1, without going back.
	// +required
	// +kubebuilder:validation:Minimum=1
	Revision int64 `json:"revision,omitempty"`

	// publishedAt is the time of publication.
	// +required
	PublishedAt metav1.Time `json:"publishedAt,omitempty,omitzero"`

	// reservedRevision is the highest revision that may have been published: a manager
	// reserves some before it uses them, and does not use those that another one reserved.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ReservedRevision int64 `json:"reservedRevision,omitempty"`
}

// ProxyStatus is what one proxy instance reported last.
type ProxyStatus struct {
	// instance is the id of the proxy instance.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Instance string `json:"instance,omitempty"`

	// revision is the snapshot revision that the instance runs. Zero means none yet.
	// +required
	// +kubebuilder:validation:Minimum=0
	Revision int64 `json:"revision"`

	// observedAt is the time of the report.
	// +required
	ObservedAt metav1.Time `json:"observedAt,omitempty,omitzero"`

	// address is where the instance listens, as host:port.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Address string `json:"address,omitempty"`

	// message says what keeps the instance from serving. Unset means nothing.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// AnnotationCredentialChangedAt on a Connection says, as an RFC 3339 time, when the
// password at the target was last changed: logins that no proxy made and that were
// last seen before then do not count against Isolated any more.
const AnnotationCredentialChangedAt = "doorward.dev/credential-changed-at" //nolint:gosec // a name, not a credential

// ForeignLogin is a login at the target, with the stored credential's role, that no
// proxy made.
type ForeignLogin struct {
	// target is where it was seen, as host:port.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	Target string `json:"target,omitempty"`

	// login tells it from every other login of the target.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Login string `json:"login,omitempty"`

	// address is where it came from, as the target has it. Unset means that the
	// target does not show it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Address string `json:"address,omitempty"`

	// foundAt is when a proxy saw it first.
	// +required
	FoundAt metav1.Time `json:"foundAt,omitempty,omitzero"`

	// seenAt is when a proxy saw it last.
	// +required
	SeenAt metav1.Time `json:"seenAt,omitempty,omitzero"`
}

// ConnectionStatus is what the manager observed of a Connection.
type ConnectionStatus struct {
	// conditions are the observations of the Connection's state. Known types are
	// Ready, Accepted, CredentialAvailable, ServingCertificateReady,
	// SnapshotPublished, RecordDurable, ProxyAvailable and Isolated.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the status was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// endpoint is the host:port that callers connect to.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Endpoint string `json:"endpoint,omitempty"`

	// snapshot is the snapshot that was published last.
	// +optional
	Snapshot *SnapshotStatus `json:"snapshot,omitempty"`

	// proxies are the last reports of the proxy instances.
	// +optional
	// +listType=map
	// +listMapKey=instance
	// +kubebuilder:validation:MaxItems=64
	Proxies []ProxyStatus `json:"proxies,omitempty"`

	// foreignLogins are the logins with the stored credential's role that no proxy
	// made and that were seen within the last 24 hours, those seen last first. They
	// stay when the proxies that found them go.
	// +optional
	// +listType=map
	// +listMapKey=target
	// +listMapKey=login
	// +kubebuilder:validation:MaxItems=8
	ForeignLogins []ForeignLogin `json:"foreignLogins,omitempty"`
}

// Connection is a target that callers reach through a proxy: where it is, how the proxy
// authenticates to it, and where the proxy runs.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=doorward,shortName=conn
// +kubebuilder:printcolumn:name="Protocol",type="string",JSONPath=".spec.protocol",description="Protocol of the target"
// +kubebuilder:printcolumn:name="Endpoint",type="string",JSONPath=".status.endpoint",description="Where callers connect"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether callers can connect"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why Ready has its value"
// +kubebuilder:printcolumn:name="Revision",type="integer",JSONPath=".status.snapshot.revision",description="Published snapshot revision",priority=10
// +kubebuilder:printcolumn:name="Placement",type="string",JSONPath=".spec.proxy.placement",description="Where the proxy runs",priority=10
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 40 && !self.metadata.name.contains('.')",message="the name of a Connection must have at most 40 characters and no dot: names of Services are derived from it"
type Connection struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state.
	// +required
	Spec ConnectionSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	Status ConnectionStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (c *Connection) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (c *Connection) SetConditions(conditions []metav1.Condition) { c.Status.Conditions = conditions }

// ConnectionList is a list of Connections.
// +kubebuilder:object:root=true
type ConnectionList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the Connections.
	Items []Connection `json:"items"`
}
