// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// PolicyMode says whether a policy decides.
// +kubebuilder:validation:Enum=Enforce;Audit
type PolicyMode string

const (
	// PolicyEnforce decides.
	PolicyEnforce PolicyMode = "Enforce"

	// PolicyModeAudit only records what it would have decided.
	PolicyModeAudit PolicyMode = "Audit"
)

// PolicyConditionType says what a condition is about.
// +kubebuilder:validation:Enum=Schedule;SourceCIDRs;SharedCredential
type PolicyConditionType string

const (
	// PolicyConditionSchedule is about the time.
	PolicyConditionSchedule PolicyConditionType = "Schedule"

	// PolicyConditionSourceCIDRs is about the caller's network address.
	PolicyConditionSourceCIDRs PolicyConditionType = "SourceCIDRs"

	// PolicyConditionSharedCredential is about callers whose credential a proxy has found
	// to be used from several places.
	PolicyConditionSharedCredential PolicyConditionType = "SharedCredential" //nolint:gosec // a word, not a credential
)

// Weekday is a day of the week.
// +kubebuilder:validation:Enum=Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
type Weekday string

// TimeWindow is a part of each of some days of the week.
type TimeWindow struct {
	// days of the week on which the window begins.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	Days []Weekday `json:"days,omitempty"`

	// start is when the window begins, as hours and minutes of the schedule's time
	// zone, for example 08:30.
	// +required
	// +kubebuilder:validation:MinLength=5
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	Start string `json:"start,omitempty"`

	// end is when the window is over, which is no part of it; up to 24:00. One
	// that is not after start is on the next day.
	// +required
	// +kubebuilder:validation:MinLength=5
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:Pattern=`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`
	End string `json:"end,omitempty"`
}

// Schedule holds within any of its windows.
type Schedule struct {
	// timeZone is a name of the IANA time zone database, for example Europe/Berlin
	// or UTC. Windows follow its clocks, summer time too.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_+/-]*$`
	TimeZone string `json:"timeZone,omitempty"`

	// windows are the times at which the schedule holds.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Windows []TimeWindow `json:"windows,omitempty"`
}

// PolicyCondition is one condition under which a policy is in force.
// +union
// +kubebuilder:validation:XValidation:rule="(self.type == 'Schedule') == has(self.schedule)",message="schedule is required when type is Schedule, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="(self.type == 'SourceCIDRs') == has(self.sourceCIDRs)",message="sourceCIDRs is required when type is SourceCIDRs, and forbidden otherwise"
type PolicyCondition struct {
	// type is Schedule, SourceCIDRs or SharedCredential, which needs nothing else: it
	// holds for callers whose credential was found to be used from several places.
	// +unionDiscriminator
	// +required
	Type PolicyConditionType `json:"type,omitempty"`

	// schedule holds at certain times.
	// +unionMember
	// +optional
	Schedule *Schedule `json:"schedule,omitempty"`

	// sourceCIDRs hold for callers whose address, as the proxy sees it, is in one
	// of these networks.
	// +unionMember
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a network in CIDR notation, for example 10.0.0.0/8"
	SourceCIDRs []string `json:"sourceCIDRs,omitempty"`
}

// PolicyAudit counts what a policy in mode Audit would have changed. Each operation is
// counted by the proxy that decided it, at most once for each count.
type PolicyAudit struct {
	// generation of the policy that was counted.
	// +required
	// +kubebuilder:validation:Minimum=1
	Generation int64 `json:"generation,omitempty"`

	// wouldDeny is the number of operations that were let through or held and would
	// have been refused.
	// +optional
	// +kubebuilder:validation:Minimum=0
	WouldDeny int64 `json:"wouldDeny,omitempty"`

	// wouldRequireApproval is the number of operations that were let through or
	// refused and would have been held.
	// +optional
	// +kubebuilder:validation:Minimum=0
	WouldRequireApproval int64 `json:"wouldRequireApproval,omitempty"`

	// wouldAllow is the number of operations that were refused or held and would
	// have been let through.
	// +optional
	// +kubebuilder:validation:Minimum=0
	WouldAllow int64 `json:"wouldAllow,omitempty"`

	// wouldMask is the number of operations whose answer would have been masked, or
	// masked otherwise, or refused for the sake of a mask.
	// +optional
	// +kubebuilder:validation:Minimum=0
	WouldMask int64 `json:"wouldMask,omitempty"`
}
