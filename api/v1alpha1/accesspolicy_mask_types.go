// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// MaskType says how a value is masked.
// +kubebuilder:validation:Enum=Redact;"Null";KeepLast;Hash;Digits
type MaskType string

const (
	// MaskRedact replaces the whole value by a fixed text, or by null where the
	// type of the field is not text.
	MaskRedact MaskType = "Redact"

	// MaskNull replaces the value by null.
	MaskNull MaskType = "Null"

	// MaskKeepLast replaces all but the last characters.
	MaskKeepLast MaskType = "KeepLast"

	// MaskHash replaces the value by a keyed hash of it. Equal values stay equal
	// on one Connection, so that masked values can be joined on.
	MaskHash MaskType = "Hash"

	// MaskDigits replaces each digit by another and keeps the rest, so that the
	// value keeps its length and format. Equal values stay equal on one Connection.
	MaskDigits MaskType = "Digits"
)

// Detector finds one kind of content in texts.
// +kubebuilder:validation:Enum=Email;PaymentCard;IBAN;Phone;SSN;JWT;CloudKey;PrivateKey;IPAddress
type Detector string

const (
	// DetectEmail finds e-mail addresses.
	DetectEmail Detector = "Email"

	// DetectPaymentCard finds payment card numbers with a right check digit.
	DetectPaymentCard Detector = "PaymentCard"

	// DetectIBAN finds international bank account numbers with right check digits.
	DetectIBAN Detector = "IBAN"

	// DetectPhone finds telephone numbers.
	DetectPhone Detector = "Phone"

	// DetectSSN finds United States social security numbers.
	DetectSSN Detector = "SSN"

	// DetectJWT finds JSON Web Tokens.
	DetectJWT Detector = "JWT"

	// DetectCloudKey finds access keys of cloud providers.
	DetectCloudKey Detector = "CloudKey"

	// DetectPrivateKey finds private keys in PEM form.
	DetectPrivateKey Detector = "PrivateKey"

	// DetectIPAddress finds IPv4 and IPv6 addresses.
	DetectIPAddress Detector = "IPAddress"
)

// DerivedPolicy says what becomes of values that depend on a masked field.
// +kubebuilder:validation:Enum=Mask;Deny
type DerivedPolicy string

const (
	// DerivedMask masks such a value as a whole.
	DerivedMask DerivedPolicy = "Mask"

	// DerivedDeny refuses the operation.
	DerivedDeny DerivedPolicy = "Deny"
)

// PredicatePolicy says whether masked fields may decide what is returned.
// +kubebuilder:validation:Enum=Allow;Deny
type PredicatePolicy string

const (
	// PredicatesAllow lets them.
	PredicatesAllow PredicatePolicy = "Allow"

	// PredicatesDeny refuses the operation.
	PredicatesDeny PredicatePolicy = "Deny"
)

// KeepLast says how much of a value stays readable.
type KeepLast struct {
	// count is the number of characters that stay readable at the end.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	Count int32 `json:"count,omitempty"`
}

// MaskMethod says how a value is masked.
// +union
// +kubebuilder:validation:XValidation:rule="self.type == 'KeepLast' ? has(self.keepLast) : !has(self.keepLast)",message="keepLast is required when type is KeepLast, and forbidden otherwise"
type MaskMethod struct {
	// type is Redact, Null, KeepLast, Hash or Digits.
	// +unionDiscriminator
	// +required
	Type MaskType `json:"type,omitempty"`

	// keepLast says how much stays readable. Shorter values, and values of no
	// more than twice that length, are masked as a whole.
	// +unionMember
	// +optional
	KeepLast *KeepLast `json:"keepLast,omitempty"`
}

// Mask hides values from the policy's subjects: those of fields, or content wherever it
// is found. Masks of all matching policies add up; where several name a field, the one
// that shows least wins, and what one of them denies is denied.
//
// A mask has fields or detectors and not both, so that a misspelt key is an error and
// never half a mask.
// +kubebuilder:validation:XValidation:rule="has(self.fields) != has(self.detect)",message="fields or detect is required, and not both in one mask; write a second mask"
// +kubebuilder:validation:XValidation:rule="!has(self.detect) || !has(self.derived) && !has(self.predicates)",message="derived and predicates belong to masks of fields"
type Mask struct {
	// name of the mask, unique in the policy. Records carry it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// fields are globs over fields in the shape that the protocol documents, for
	// example public.customers.email. A '*' stands for any run of characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:Pattern=`^[^\x00-\x1f\x7f]+$`
	Fields []string `json:"fields,omitempty"`

	// detect names the detectors that look for content in every text that is
	// returned. A detector finds what looks like its kind, and no more: what must
	// never be seen needs a mask of its field.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Detect []Detector `json:"detect,omitempty"`

	// method says how the values are masked.
	// +required
	Method MaskMethod `json:"method,omitzero"`

	// derived says what becomes of a returned value that depends on a masked field
	// without being it, such as length(email). Unset is Deny. Not for detect.
	// +optional
	Derived DerivedPolicy `json:"derived,omitempty"`

	// predicates says whether an operation may let masked fields decide which rows
	// are returned, or in which order, as in WHERE or ORDER BY. Whoever may ask
	// that can find out masked values by many questions. Unset is Deny. Not for
	// detect.
	// +optional
	Predicates PredicatePolicy `json:"predicates,omitempty"`

	// exempt are callers from whom the mask hides nothing, though the policy is
	// about them. Those who act for somebody are exempt only by subjects that name a
	// delegation. Masks of other policies hold all the same.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Exempt []Subject `json:"exempt,omitempty"`
}
