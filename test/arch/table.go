// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

// Package arch holds the import table: which package may import which, and why. The table is
// data; its test reads every Go file of the module and fails at each import that the table
// forbids. A new folder that no rule covers is allowed nothing of ours until it has one.
package arch

// Rule says what the files of some packages may import of this module and of others.
//
// A pattern is a path of packages relative to the module ("proxy/record"); "x/..." is x and
// everything below it, "x/*" every direct child of x with all below it. A pattern with a dot
// in its first element ("k8s.io/...") is of another module.
type Rule struct {
	// Packages the rule is about. The most specific rule (the longest pattern) holds.
	Packages []string
	// May lists what they may import of this module, besides the packages below their own
	// folder. "..." is everything.
	May []string
	// Third, where not nil, lists what they may import of other modules. The standard library
	// is always allowed.
	Third []string
	// Reason is said when the rule is broken.
	Reason string
}

// leaves are what every package of the data path may rely on.
var leaves = []string{"proxy/hostkey", "proxy/identity", "proxy/policy", "proxy/mask", "proxy/record", "proxy/snapshot"}

// testKits are imported by tests only, so they may do what a protocol may not, such as dial.
var testKits = []string{"proxy/protocol/protocoltest", "proxy/record/recordtest", "proxy/record/sink/sinktest"}

// Table is the import table of the module, tests excepted.
var Table = []Rule{
	{
		Packages: []string{"api/..."},
		Third:    []string{"k8s.io/apimachinery/..."},
		Reason:   "types only: other programs import them, and must not get our dependencies with them",
	},
	{
		Packages: []string{"proxy/egress", "proxy/hostkey", "proxy/identity", "proxy/pace", "proxy/recordings/wire", "proxy/relay", "proxy/review/wire"},
		Reason:   "a leaf knows nothing of ours, so that everything may stand on it",
	},
	{
		Packages: []string{"proxy/policy"},
		May:      []string{"proxy/identity"},
		Reason:   "a decision is about a principal; it knows nothing else of ours, and does no I/O",
	},
	{
		Packages: []string{"proxy/mask"},
		May:      []string{"proxy/policy"},
		Reason:   "a masker carries out what a decision asks for, and nothing else",
	},
	{
		Packages: []string{"proxy/record"},
		May:      []string{"proxy/identity", "proxy/policy"},
		Reason:   "a record names a principal and a decision; how it is stored and shipped is below it",
	},
	{
		Packages: []string{"proxy/snapshot"},
		May:      []string{"proxy/identity", "proxy/policy"},
		Reason:   "the form a proxy runs on is plain data: the controllers write it and the proxy reads it",
	},
	{
		Packages: []string{"proxy/identity/*"},
		May:      []string{"proxy/identity"},
		Reason:   "a way to prove an identity meets the others only where cmd/ wires them",
	},
	{
		Packages: []string{"proxy/identity/oidc"},
		May:      []string{"proxy/egress", "proxy/identity", "proxy/identity/expression"},
		Reason:   "claims become a caller by expressions, which know nothing of tokens; an issuer's keys are fetched from where nothing is forbidden",
	},
	{
		Packages: []string{"proxy/identity/provider"},
		May:      []string{"proxy/identity", "proxy/identity/gateway", "proxy/identity/oidc", "proxy/snapshot"},
		Reason:   "the one place that makes verifiers of a snapshot: the manager checks by it what a proxy runs",
	},
	{
		Packages: []string{"proxy/policy/*"},
		May:      []string{"proxy/policy", "proxy/identity"},
		Reason:   "an engine is pure: it sees what it decides on and nothing of the proxy",
	},
	{
		Packages: []string{"proxy/mask/*"},
		May:      []string{"proxy/mask", "proxy/policy"},
		Reason:   "a masker is pure and streaming",
	},
	{
		Packages: []string{"proxy/record/*"},
		May:      []string{"proxy/record", "proxy/identity", "proxy/policy"},
		Reason:   "a store or a sink knows records and nothing of who writes them",
	},
	{
		Packages: []string{"proxy/record/verify", "proxy/record/verify/..."},
		May:      []string{"proxy/record", "proxy/record/tree"},
		Reason:   "the verifier needs the format and the keys only: what wrote a log is what it must not rely on",
	},
	{
		Packages: []string{"proxy/record/extract"},
		May:      []string{"proxy/record", "proxy/record/tree"},
		Reason:   "a part of a log is verified by the format and the keys, as a whole one is",
	},
	{
		Packages: []string{"proxy/record/spool"},
		May:      []string{"proxy/record", "proxy/record/extract", "proxy/record/tree", "proxy/witness", "proxy/identity", "proxy/policy"},
		Reason:   "the log makes its checkpoints itself, and says in the witness's form why they continue each other",
	},
	{
		Packages: []string{"proxy/witness"},
		May:      []string{"proxy/record/tree"},
		Reason:   "what a proxy shows the witness, and what the witness signs, is plain data that both sides and verifiers read",
	},
	{
		Packages: []string{"proxy/upstream", "proxy/upstream/..."},
		May:      append([]string{"proxy/egress"}, leaves...),
		Reason:   "dialling a target needs the snapshot's words for it, not the server's",
	},
	{
		Packages: []string{"proxy/access", "proxy/access/..."},
		May:      append([]string{"proxy/identity/sharing"}, leaves...),
		Reason:   "the road is made of the leaves; what it needs from outside it declares as interfaces",
	},
	{
		Packages: []string{"proxy/protocol"},
		May:      append([]string{"proxy/access"}, leaves...),
		Reason:   "the contract of a protocol is the road and the leaves",
	},
	{
		Packages: []string{"proxy/protocol/*"},
		May:      append([]string{"proxy/protocol", "proxy/access", "proxy/relay"}, leaves...),
		Reason: "a protocol owns the words on the wire: never another protocol, the server, a sink, " +
			"the API types, a controller or the way to a target",
	},
	{
		Packages: []string{"proxy/protocol/ssh"},
		May:      append([]string{"proxy/protocol", "proxy/access", "proxy/relay", "proxy/record/cast"}, leaves...),
		Reason:   "a protocol with terminals records them in the format that records have for that",
	},
	{
		Packages: []string{"proxy/protocol/ssh/command"},
		Third:    []string{"mvdan.cc/sh/v3/syntax"},
		Reason:   "a reader of command lines is pure: text in, data out; of shells it knows the syntax and runs nothing",
	},
	{
		Packages: []string{"proxy/protocol/all"},
		May:      []string{"proxy/protocol/..."},
		Reason:   "the generated list is the one place that knows every protocol",
	},
	{
		Packages: []string{"proxy/protocol/protocoltest", "proxy/protocol/protocoltest/..."},
		May:      append([]string{"proxy/protocol", "proxy/access", "proxy/relay", "proxy/policy/policytest", "proxy/record/recordtest", "test/testcert"}, leaves...),
		Reason:   "the test kit knows the contract, so that it fits every protocol",
	},
	{
		Packages: []string{"proxy/server", "proxy/server/..."},
		May:      append([]string{"proxy/access", "proxy/egress", "proxy/identity/sharing", "proxy/pace", "proxy/protocol", "proxy/relay", "proxy/upstream", "proxy/record/sink"}, leaves...),
		Reason:   "the server owns connections, opens those to targets, and knows protocols and sinks by their contract only",
	},
	{
		Packages: []string{"proxy/review"},
		May:      append([]string{"proxy/access", "proxy/pace", "proxy/protocol"}, leaves...),
		Reason:   "who answers questions about access stands on the road as a protocol does, and knows none",
	},
	{
		Packages: []string{"proxy/devicelogin"},
		May:      append([]string{"proxy/access", "proxy/egress", "proxy/identity/gateway", "proxy/pace"}, leaves...),
		Reason:   "who asks the login portal for callers speaks its words, and reaches nothing that is forbidden",
	},
	{
		Packages: []string{"proxy/recordings"},
		May:      append([]string{"proxy/record/extract"}, leaves...),
		Reason:   "who gives the manager recordings knows the log and nobody's session",
	},
	{
		Packages: []string{"proxy/recordings/serving"},
		May:      []string{"proxy/pace"},
		Reason:   "the server of recordings knows nothing of them: manager and proxies share it",
	},
	{
		Packages: []string{"proxy/report"},
		Reason:   "what a proxy tells of itself is plain data: the proxy writes it and the manager reads it",
	},
	{
		Packages: []string{"proxy/kube", "proxy/kube/..."},
		May:      append([]string{"api/...", "proxy/access", "proxy/pace", "proxy/record/tree", "proxy/report", "proxy/upstream", "proxy/witness"}, leaves...),
		Reason:   "the one part of the proxy that knows API objects turns them into the words of the others",
	},
	{
		Packages: []string{"proxy/trace"},
		May:      append([]string{"proxy/access"}, leaves...),
		Reason:   "traces are made of what the road tells its observers, and of nothing else",
	},
	{
		Packages: []string{"proxy/..."},
		May:      append([]string{"proxy/access", "proxy/relay"}, leaves...),
		Reason:   "the data path stands on the road and the leaves",
	},
	{
		Packages: []string{"controllers/compile", "controllers/compile/..."},
		May:      append([]string{"api/...", "controllers/kit", "proxy/identity/gateway", "proxy/identity/provider", "proxy/identity/saml", "proxy/protocol"}, leaves...),
		Third:    []string{"k8s.io/api/...", "k8s.io/apimachinery/...", "sigs.k8s.io/yaml"},
		Reason:   "the compiler is pure: API objects in, snapshot and verdicts out",
	},
	{
		Packages: []string{"controllers/..."},
		May:      append([]string{"api/...", "config/...", "controllers/...", "proxy/egress", "proxy/identity/saml", "proxy/identity/sharing", "proxy/pace", "proxy/protocol", "proxy/recordings/serving", "proxy/recordings/wire", "proxy/report", "proxy/review/wire", "proxy/witness", "proxy/record/tree"}, leaves...),
		Reason:   "controllers write what proxies read; the data path itself is not theirs",
	},
	{
		Packages: []string{"controllers/login"},
		May:      append([]string{"api/...", "controllers/...", "proxy/egress", "proxy/identity/...", "proxy/pace"}, leaves...),
		Reason:   "the login portal proves callers as proxies do, and signs what they believe",
	},
	{
		Packages: []string{"controllers/setup"},
		May: append([]string{
			"api/...", "config/...", "controllers/...", "proxy/egress", "proxy/identity/oidc", "proxy/protocol", "proxy/report", "proxy/witness", "proxy/record/tree",
		}, leaves...),
		Reason: "the manager is put together here: the login portal is given what it proves callers with",
	},
	{
		Packages: []string{"controllers/notify"},
		May:      []string{"api/...", "controllers/compile", "controllers/kit", "proxy/egress", "proxy/record", "proxy/record/sink"},
		Reason:   "a receiver of notifications is verified as that of a sink, and what it says is shown as that",
	},
	{
		Packages: []string{"cli/..."},
		May:      append([]string{"api/...", "cli/...", "proxy/record/cast", "proxy/record/extract", "proxy/record/tree", "proxy/record/verify", "proxy/witness"}, leaves...),
		Reason:   "the plugin is a client of the API server, and reads records",
	},
	{
		Packages: []string{"cli/recording"},
		May:      append([]string{"api/...", "cli/...", "proxy/record/extract", "proxy/recordings/wire"}, leaves...),
		Reason:   "a recording is asked for in the manager's words, and checked by those of the log that the AuditSession names",
	},
	{
		Packages: []string{"cli/policy"},
		May:      append([]string{"api/...", "cli/...", "config/crd", "controllers/compile", "controllers/kit", "proxy/review/wire"}, leaves...),
		Reason:   "policies are tried with the manager's own compiler; the engine comes from cmd/",
	},
	{
		Packages: []string{"cli/requests"},
		May:      append([]string{"api/...", "cli/...", "controllers/compile"}, leaves...),
		Reason:   "which rules are about a Connection is the manager's own code to say",
	},
	{
		Packages: []string{"cli/connect", "cli/connect/..."},
		May:      append([]string{"api/...", "cli/...", "proxy/relay"}, leaves...),
		Reason:   "a local port passes bytes on, as a proxy does",
	},
	{
		Packages: []string{"cli/doctor"},
		May:      append([]string{"api/...", "cli/...", "config/..."}, leaves...),
		Reason:   "what is installed is held against what this build would install",
	},
	{
		Packages: []string{"cli/proxy"},
		May:      append([]string{"api/...", "cli/...", "controllers/enrol"}, leaves...),
		Reason:   "enrolment is one piece of code, whoever asks for it",
	},
	{
		Packages: []string{"config/..."},
		Reason:   "manifests, embedded where a program has to know them",
	},
	{
		Packages: []string{"cmd/logging", "cmd/profiles"},
		Reason:   "what commands have in common knows nothing of what they do",
	},
	{
		Packages: []string{"cmd/version"},
		Reason:   "the linker sets a variable there, and every command says it",
	},
	{
		Packages: []string{"cmd/..."},
		May:      []string{"..."},
		Reason:   "implementations meet the interfaces here",
	},
	{
		Packages: []string{"hack/...", "test/..."},
		May:      []string{"..."},
		Reason:   "tools and tests are in no image",
	},
}

// Importable lists packages that only some may import, whatever the rules above say. The first
// entry that covers a package is the one that holds for it.
var Importable = []struct {
	Packages []string
	By       []string
	Reason   string
}{
	{
		Packages: []string{"cmd/version", "cmd/logging", "cmd/profiles"},
		By:       []string{"cmd/..."},
		Reason:   "what a command says of itself is no business of the packages",
	},
	{
		Packages: []string{"cmd/..."},
		Reason:   "a command is the end of the wiring",
	},
	{
		Packages: testKits,
		By:       append([]string{"test/..."}, testKits...),
		Reason:   "a test kit is for tests",
	},
	{
		Packages: []string{"test/testcert"},
		By:       append([]string{"hack/...", "test/..."}, testKits...),
		Reason:   "the certificates of tests are trusted by nothing else",
	},
	{
		Packages: []string{"hack/...", "test/..."},
		By:       []string{"hack/...", "test/..."},
		Reason:   "development tools, the development issuer above all, are in no product binary",
	},
}

// Confined lists modules of others that only some packages may import.
var Confined = []struct {
	Modules []string
	By      []string
	Reason  string
}{
	{
		Modules: []string{
			"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/*",
		},
		By:     []string{"proxy/trace", "test/..."},
		Reason: "one package knows OpenTelemetry's SDK; what it watches knows nothing of traces",
	},
}
