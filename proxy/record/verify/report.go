// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import "time"

// Verdict says what was done to a log.
type Verdict string

// The verdicts. The package comment says what decides each.
const (
	// Edited is a record whose content is not what was signed.
	Edited Verdict = "Edited"
	// Reordered is a record at another's place.
	Reordered Verdict = "Reordered"
	// Missing are records that others follow.
	Missing Verdict = "Missing"
	// Truncated are records missing at the end.
	Truncated Verdict = "Truncated"
	// RolledBack is an older state of the log in the place of a newer one.
	RolledBack Verdict = "RolledBack"
	// Forked are two histories of one log.
	Forked Verdict = "Forked"
	// BadSignature is a checkpoint or a key rotation that is not properly signed.
	BadSignature Verdict = "BadSignature"
	// Unsigned is a log of which no record is covered by a signature.
	Unsigned Verdict = "Unsigned"
	// Unreadable is a file, or a part of one, that could not be read.
	Unreadable Verdict = "Unreadable"
)

// Finding is something that is wrong.
type Finding struct {
	Verdict Verdict `json:"verdict"`
	// Log is the id of the log; empty where a file names none.
	Log string `json:"log,omitempty"`
	// First and Last are the records it is about; -1 where none is known.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
	// Exact says that each record from First to Last is meant; else the change
	// is somewhere between them.
	Exact bool `json:"exact"`
	// TrustedSize is the number of records there must be, where that is known.
	TrustedSize int64 `json:"trustedSize,omitempty"`
	// File, Offset and Line are where the first record was found. Offset is in
	// bytes, decompressed; Line is 0 in files that have none.
	File   string `json:"file,omitempty"`
	Offset int64  `json:"offset,omitempty"`
	Line   int64  `json:"line,omitempty"`
	// Sentence says what it is, Remedy what to do now.
	Sentence string `json:"sentence"`
	Remedy   string `json:"remedy"`

	place *place
}

// Report is the outcome of a verification.
type Report struct {
	// OK says that nothing is wrong: no findings.
	OK   bool        `json:"ok"`
	Logs []LogReport `json:"logs"`
	// Findings are those that belong to no log.
	Findings []Finding `json:"findings,omitempty"`
	// Files is the number of files read, Empty that of those without a record.
	Files int `json:"files"`
	Empty int `json:"filesWithoutRecords"`
	// Absent are the logs of the trusted checkpoints that have no record here.
	Absent []string `json:"absentLogs,omitempty"`
}

// LogReport is the outcome for one log.
type LogReport struct {
	Log string `json:"log"`
	// First is the first record's index, Records the index behind the last.
	First   int64 `json:"first"`
	Records int64 `json:"records"`
	// Repeated is the number of records that were found again, all the same.
	Repeated int64 `json:"repeated"`
	// BrokenLines is the number of lines broken off whose record came again.
	BrokenLines int64 `json:"brokenLines,omitempty"`
	// Consistent is the number of records up to the last checkpoint that holds;
	// those after it are not signed yet.
	Consistent int64 `json:"consistent"`
	// Checkpoints is the number of checkpoints that hold, Keys that of the keys.
	Checkpoints int64 `json:"checkpoints"`
	Keys        int   `json:"keys"`
	// LastCheckpoint is the time of the last checkpoint that holds.
	LastCheckpoint *time.Time `json:"lastCheckpoint,omitempty"`
	// Closed says that the log ends with the checkpoint of an orderly end.
	Closed bool `json:"closed"`
	// Trusted is the size of the greatest trusted checkpoint that the log agrees
	// with; 0 where none was given. Witnessed says that a witness signed it.
	Trusted   int64 `json:"trusted"`
	Witnessed bool  `json:"witnessed"`
	// Findings are what is wrong, by the first record; MoreFindings are left out.
	Findings     []Finding `json:"findings,omitempty"`
	MoreFindings int       `json:"moreFindings,omitempty"`
	// Summary is what can be said of the log in a sentence.
	Summary string `json:"summary"`
}

// maxFindings bounds the findings of one log.
const maxFindings = 100

// Tampered says whether anything but unreadable or unsigned input was found.
func (r *Report) Tampered() bool {
	for _, f := range r.All() {
		if f.Verdict != Unreadable && f.Verdict != Unsigned {
			return true
		}
	}
	return false
}

// All are the findings of the report and its logs.
func (r *Report) All() []Finding {
	all := append([]Finding(nil), r.Findings...)
	for i := range r.Logs {
		all = append(all, r.Logs[i].Findings...)
	}
	return all
}
