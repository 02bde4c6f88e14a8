// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NotifierEvent is something that becomes of an ApprovalRequest.
// +kubebuilder:validation:Enum=Requested;Approved;Denied;Revoked;Expired;BreakGlass;ReviewDue
type NotifierEvent string

const (
	// NotifyRequested is told while a request waits for decisions.
	NotifyRequested NotifierEvent = "Requested"

	// NotifyApproved is told when a request has all approvals.
	NotifyApproved NotifierEvent = "Approved"

	// NotifyDenied is told when an approver denied a request.
	NotifyDenied NotifierEvent = "Denied"

	// NotifyRevoked is told when an approval was taken back.
	NotifyRevoked NotifierEvent = "Revoked"

	// NotifyBreakGlass is told when a request goes ahead without approvals.
	NotifyBreakGlass NotifierEvent = "BreakGlass"

	// NotifyReviewDue is told when what went ahead without approvals is over, until
	// it is reviewed.
	NotifyReviewDue NotifierEvent = "ReviewDue"

	// NotifyExpired is told when a request, or what it came to, is over by time.
	NotifyExpired NotifierEvent = "Expired"
)

// NotifierMarkup is what a receiver makes of the characters of a text.
// +kubebuilder:validation:Enum=Plain;Slack;Markdown;HTML
type NotifierMarkup string

const (
	// MarkupPlain is for receivers that show a text as it stands, and for programs.
	MarkupPlain NotifierMarkup = "Plain"

	// MarkupSlack is Slack's mrkdwn.
	MarkupSlack NotifierMarkup = "Slack"

	// MarkupMarkdown is CommonMark and what is made of it.
	MarkupMarkdown NotifierMarkup = "Markdown"

	// MarkupHTML is HTML.
	MarkupHTML NotifierMarkup = "HTML"
)

// NotifierSecretReference names a Secret in the operator's namespace.
type NotifierSecretReference struct {
	// name of the Secret, in the operator's namespace. Its type is
	// doorward.dev/notifier-credential and nothing else, so that no Secret that was
	// made for something else is sent anywhere. Names that begin with doorward- are
	// the manager's own and refused.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="name must be the name of a Secret in the operator's namespace, without a namespace"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('doorward-')",message="names that begin with 'doorward-' are those of the manager's own Secrets; give the Secret of the notifier another name"
	Name string `json:"name,omitempty"`
}

// NotifierSpec says who is told of what, and in which words.
//
// +kubebuilder:validation:XValidation:rule="has(self.url) || has(self.secret)",message="url is required, or secret with the key url: the URL of a chat is a secret"
// +kubebuilder:validation:XValidation:rule="!has(self.url) || self.url.startsWith('http://') == (has(self.tls) && has(self.tls.mode) && self.tls.mode == 'Disabled')",message="url must begin with https://, or with http:// when tls.mode is Disabled"
// +kubebuilder:validation:XValidation:rule="!has(self.template) || (has(self.contentType) && !self.contentType.endsWith('json')) || self.template.matches('^[[:space:]]*[{[]')",message="template must make JSON, so begin with '{' or '[', unless contentType is another"
type NotifierSpec struct {
	// url takes the notifications, by POST. Unset means the key url of the secret,
	// which is where the URLs of chats belong: whoever has one can post there.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/?#@]+([/?][^#]*)?$') && isURL(self)",message="url must be an http or https URL of a host, without user and fragment; credentials belong into the secret"
	URL string `json:"url,omitempty"`

	// secret holds the URL, in the key url, and headers such as Authorization, in the
	// key headers as lines of "Name: value". Unset means neither.
	// +optional
	Secret *NotifierSecretReference `json:"secret,omitempty"`

	// tls says how the receiver is verified. Unset means VerifyFull with the
	// authorities of the system the manager runs on.
	// +optional
	TLS *SinkTLS `json:"tls,omitempty"`

	// events are what is told.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Events []NotifierEvent `json:"events,omitempty"`

	// namespaces are those whose ApprovalRequests are told of.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Namespaces []NamespaceSelector `json:"namespaces,omitempty"`

	// connections are those of these namespaces whose ApprovalRequests are told of.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Connections []ConnectionSelector `json:"connections,omitempty"`

	// markup is what the receiver makes of texts: Plain, Slack, Markdown or HTML. What
	// requesters and approvers wrote is made harmless accordingly before the template
	// sees it.
	// +required
	Markup NotifierMarkup `json:"markup,omitempty"`

	// contentType of the notification. Unset means application/json.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[a-z0-9]+/[a-z0-9.+-]+$`
	ContentType string `json:"contentType,omitempty"`

	// template makes the notification, in Go's text/template with the functions json,
	// print and truncate. Where contentType is JSON, whatever the template puts out
	// must end in json, as in {{ .Text | json }}. Unset sends all fields as one JSON
	// object.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Template string `json:"template,omitempty"`
}

// NotifierStatus is what the manager observed of a Notifier.
type NotifierStatus struct {
	// conditions are the observations of the notifier's state. Known types are Ready,
	// Accepted and Reachable.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation that the status was computed from.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// since is when the manager began to tell what is selected now: what became of
	// requests before is not told.
	// +optional
	Since metav1.Time `json:"since,omitempty,omitzero"`

	// selection is the SHA-256 of the events and selectors that since is about, as
	// sha256:<64 hex digits>.
	// +optional
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	Selection string `json:"selection,omitempty"`

	// waiting is the number of notifications that the receiver has not taken yet.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Waiting *int32 `json:"waiting,omitempty"`
}

// Notifier tells a chat, or another receiver of HTTP requests, what becomes of
// ApprovalRequests. Nothing that the receiver answers is an approval.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=doorward,shortName=ntf
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name of a Notifier has at most 63 characters"
// +kubebuilder:printcolumn:name="Events",type="string",JSONPath=".spec.events",description="What is told"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status",description="Whether the receiver is told"
// +kubebuilder:printcolumn:name="Reason",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].reason",description="Why Ready has its value"
// +kubebuilder:printcolumn:name="Waiting",type="integer",JSONPath=".status.waiting",description="Notifications that the receiver has not taken yet"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp",description="Time since creation"
type Notifier struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec is the desired state.
	// +required
	Spec NotifierSpec `json:"spec,omitzero"`

	// status is the observed state.
	// +optional
	Status NotifierStatus `json:"status,omitempty,omitzero"`
}

// GetConditions returns the conditions of the status.
func (n *Notifier) GetConditions() []metav1.Condition { return n.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (n *Notifier) SetConditions(conditions []metav1.Condition) { n.Status.Conditions = conditions }

// NotifierList is a list of Notifiers.
// +kubebuilder:object:root=true
type NotifierList struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard list's metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty,omitzero"`

	// items are the Notifiers.
	Items []Notifier `json:"items"`
}

// NotificationResult is what became of a notification.
// +kubebuilder:validation:Enum=Sent;GivenUp
type NotificationResult string

const (
	// NotificationSent was taken by its receiver.
	NotificationSent NotificationResult = "Sent"

	// NotificationGivenUp was not taken, and is not tried again.
	NotificationGivenUp NotificationResult = "GivenUp"
)

// Notification is one that is over: it is not sent again.
type Notification struct {
	// notifier is the name of the Notifier.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Notifier string `json:"notifier,omitempty"`

	// event is what was told.
	// +required
	Event NotifierEvent `json:"event,omitempty"`

	// result is Sent or GivenUp.
	// +required
	Result NotificationResult `json:"result,omitempty"`

	// at is when the notification was over.
	// +required
	At metav1.Time `json:"at,omitempty,omitzero"`
}
