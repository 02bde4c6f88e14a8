// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package record

func appendApproval(dst []byte, a *Approval) []byte {
	o := len(dst)
	dst = appendMember(dst, `,"scope":`, a.Scope)
	dst = appendMember(dst, `,"request":`, a.Request)
	dst = appendMember(dst, `,"uid":`, a.UID)
	dst = appendMember(dst, `,"outcome":`, a.Outcome)
	dst = appendList(dst, `,"approvers":[`, a.Approvers)
	if a.BreakGlass {
		dst = append(dst, `,"breakGlass":true`...)
	}
	dst = appendMember(dst, `,"reasonDigest":`, a.ReasonDigest)
	for i := range a.Also {
		if i == 0 {
			dst = append(dst, `,"also":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendApproval(dst, &a.Also[i])
		if i == len(a.Also)-1 {
			dst = append(dst, ']')
		}
	}
	return closeObject(dst, o)
}
