// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LimitType says what a limit counts, and over what.
// +kubebuilder:validation:Enum=RowsPerStatement;BytesPerStatement;RowsPerWindow;BytesPerWindow;OperationsPerWindow;SessionSeconds;IdleSeconds;ConcurrentSessions;OutliveTokenSeconds
type LimitType string

const (
	// LimitRowsPerStatement counts the rows that one statement returns.
	LimitRowsPerStatement LimitType = "RowsPerStatement"

	// LimitBytesPerStatement counts the bytes that one statement returns.
	LimitBytesPerStatement LimitType = "BytesPerStatement"

	// LimitRowsPerWindow counts the rows that a caller gets in any span of
	// windowSeconds, over all of his sessions on one replica of the proxy.
	LimitRowsPerWindow LimitType = "RowsPerWindow"

	// LimitBytesPerWindow counts the bytes in the same way.
	LimitBytesPerWindow LimitType = "BytesPerWindow"

	// LimitOperationsPerWindow counts the operations that are let through in the
	// same way.
	LimitOperationsPerWindow LimitType = "OperationsPerWindow"

	// LimitSessionSeconds is how long a session may last.
	LimitSessionSeconds LimitType = "SessionSeconds"

	// LimitIdleSeconds is how long a session may do nothing.
	LimitIdleSeconds LimitType = "IdleSeconds"

	// LimitConcurrentSessions counts the sessions that a caller has at the same
	// time on one replica of the proxy.
	LimitConcurrentSessions LimitType = "ConcurrentSessions"

	// LimitOutliveTokenSeconds is for how long a session may go on after the caller's
	// token has expired. Where no policy that lets the caller through sets it, or one of
	// them does not, a session ends with the token.
	LimitOutliveTokenSeconds LimitType = "OutliveTokenSeconds"
)

// Limit bounds what each of the policy's subjects gets. Each says one thing and all of its
// keys are required, so that a misspelt key is an error and never a missing limit.
// +union
// +kubebuilder:validation:XValidation:rule="self.type.endsWith('PerWindow') == has(self.windowSeconds)",message="windowSeconds is required when type is RowsPerWindow, BytesPerWindow or OperationsPerWindow, and forbidden otherwise"
// +kubebuilder:validation:XValidation:rule="self.type != 'OutliveTokenSeconds' || self.maximum <= 43200",message="maximum must be at most 43200, twelve hours, when type is OutliveTokenSeconds"
type Limit struct {
	// type says what is bounded: RowsPerStatement, BytesPerStatement, RowsPerWindow,
	// BytesPerWindow, OperationsPerWindow, SessionSeconds, IdleSeconds,
	// ConcurrentSessions or OutliveTokenSeconds.
	// +unionDiscriminator
	// +required
	Type LimitType `json:"type,omitempty"`

	// maximum is the bound. An answer that exceeds it is refused in the middle; so is
	// the operation, or session, that would be one too many; a session that has
	// lasted, or done nothing, for so long is ended.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000000000000
	Maximum int64 `json:"maximum,omitempty"`

	// windowSeconds is the length of the window.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	WindowSeconds int32 `json:"windowSeconds,omitempty"`
}
