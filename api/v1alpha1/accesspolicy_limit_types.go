// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LimitType says what a limit counts, and over what.
// +kubebuilder:validation:Enum=RowsPerStatement;BytesPerStatement;RowsPerWindow;BytesPerWindow
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
)

// Limit bounds what each of the policy's subjects gets. Each says one thing and all of its
// keys are required, so that a misspelt key is an error and never a missing limit.
// +union
// +kubebuilder:validation:XValidation:rule="(self.type == 'RowsPerWindow' || self.type == 'BytesPerWindow') == has(self.windowSeconds)",message="windowSeconds is required when type is RowsPerWindow or BytesPerWindow, and forbidden otherwise"
type Limit struct {
	// type is RowsPerStatement, BytesPerStatement, RowsPerWindow or BytesPerWindow.
	// +unionDiscriminator
	// +required
	Type LimitType `json:"type,omitempty"`

	// maximum is what may be returned at most. What exceeds it is refused in the
	// middle of the answer.
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
