// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"maps"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/doorward/doorward/proxy/policy"
)

// schemaCase is one change of a sample and the words that its refusal must have; none means
// that it is accepted.
type schemaCase struct {
	reason  string
	changes edits
	want    string
}

// tryCreate asks the API server about each case, as a dry run by an admin.
func tryCreate(t *testing.T, file string, cases map[string]schemaCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			object := edited(sample(file), tc.changes)
			expect(t, tc.reason, admin.Create(t.Context(), object, client.DryRunAll), tc.want)
		})
	}
}

func TestConnectionSchema(t *testing.T) {
	target := map[string]any{"host": "db", "port": int64(1)}
	managed := edits{"spec.isolation": map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{"app": "db"}}}}
	tryCreate(t, "connection.yaml", map[string]schemaCase{
		"Sample":   {reason: "the sample is valid"},
		"Isolated": {reason: "isolation of a Managed connection", changes: managed},
		"Spool":    {reason: "a volume claim", changes: edits{"spec.proxy.managed.spool": map[string]any{"size": "10Gi", "storageClassName": "fast"}}},
		"Minimal": {reason: "everything optional may be absent", changes: edits{
			"spec.tls": absent{}, "spec.options": absent{}, "spec.session": absent{}, "spec.audit": absent{},
			"spec.proxy": map[string]any{"placement": "Managed", "managed": map[string]any{"spool": map[string]any{"size": "1Gi"}}},
		}},

		"NameWithDot": {reason: "Services are named after it", changes: edits{"metadata.name": "a.b"}, want: "at most 40 characters and no dot"},
		"NameLong":    {reason: "Services are named after it", changes: edits{"metadata.name": longText(41)}, want: "at most 40 characters and no dot"},

		"ProtocolMissing": {reason: "required", changes: edits{"spec.protocol": absent{}}, want: "spec.protocol"},
		"ProtocolEmpty":   {reason: "not empty", changes: edits{"spec.protocol": ""}, want: "spec.protocol"},
		"ProtocolUpper":   {reason: "pattern", changes: edits{"spec.protocol": "Postgres"}, want: "spec.protocol"},
		"ProtocolLong":    {reason: "bounded", changes: edits{"spec.protocol": longText(32)}, want: "spec.protocol"},
		"ProtocolOpen":    {reason: "an unknown one is a condition, not an error", changes: edits{"spec.protocol": "gopher"}},

		"NoTargets":       {reason: "required", changes: edits{"spec.targets": []any{}}, want: "spec.targets"},
		"NineTargets":     {reason: "bounded", changes: edits{"spec.targets": repeat(9, "host", target)}, want: "spec.targets"},
		"HostEmpty":       {reason: "not empty", changes: edits{"spec.targets.0.host": ""}, want: "host"},
		"HostWithPort":    {reason: "no port", changes: edits{"spec.targets.0.host": "db:5432"}, want: "without port"},
		"HostWithScheme":  {reason: "no scheme", changes: edits{"spec.targets.0.host": "tcp://db"}, want: "without port, scheme"},
		"HostIPv4":        {reason: "an address", changes: edits{"spec.targets.0.host": "192.0.2.1"}},
		"HostIPv6":        {reason: "an address", changes: edits{"spec.targets.0.host": "2001:db8::1"}},
		"HostIPv6Bracket": {reason: "no brackets", changes: edits{"spec.targets.0.host": "[2001:db8::1]"}, want: "brackets"},
		"PortZero":        {reason: "1 to 65535", changes: edits{"spec.targets.0.port": int64(0)}, want: "port"},
		"PortHigh":        {reason: "1 to 65535", changes: edits{"spec.targets.0.port": int64(65536)}, want: "port"},

		"TLSMode":            {reason: "enum", changes: edits{"spec.tls.mode": "Prefer"}, want: "Unsupported value"},
		"TLSEmpty":           {reason: "says nothing", changes: edits{"spec.tls": map[string]any{}}, want: "spec.tls"},
		"TLSDisabledWithCA":  {reason: "contradiction", changes: edits{"spec.tls.mode": "Disabled"}, want: "no meaning when mode is Disabled"},
		"TLSDisabled":        {reason: "clear text is asked for in words", changes: edits{"spec.tls": map[string]any{"mode": "Disabled"}}},
		"ServerNameBad":      {reason: "a name", changes: edits{"spec.tls.serverName": "*.db"}, want: "serverName must be"},
		"CAWithoutConfigMap": {reason: "union", changes: edits{"spec.tls.certificateAuthority.configMap": absent{}}, want: "configMap is required"},
		"CAType":             {reason: "enum", changes: edits{"spec.tls.certificateAuthority.type": "Secret"}, want: "Unsupported value"},
		"CAKey":              {reason: "pattern", changes: edits{"spec.tls.certificateAuthority.configMap.key": "a/b"}, want: "key"},

		"CredentialMissing":      {reason: "required", changes: edits{"spec.credential": absent{}}, want: "spec.credential"},
		"CredentialNoSecret":     {reason: "union", changes: edits{"spec.credential.secret": absent{}}, want: "secret is required"},
		"CredentialBoth":         {reason: "union", changes: edits{"spec.credential.file": map[string]any{"path": "/a"}}, want: "forbidden otherwise"},
		"CredentialFileManaged":  {reason: "a file is beside an External proxy", changes: edits{"spec.credential": map[string]any{"type": "File", "file": map[string]any{"path": "/a"}}}, want: "needs proxy.placement External"},
		"CredentialType":         {reason: "enum", changes: edits{"spec.credential.type": "Vault"}, want: "Unsupported value"},
		"CredentialSecretEmpty":  {reason: "not empty", changes: edits{"spec.credential.secret.name": ""}, want: "name"},
		"SecretOtherNamespace":   {reason: "checklist 41: references are local; strict validation names the field", changes: edits{"spec.credential.secret.namespace": "other"}},
		"OptionsList":            {reason: "an object", changes: edits{"spec.options": []any{"a"}}, want: "spec.options"},
		"OptionsEmpty":           {reason: "says nothing", changes: edits{"spec.options": map[string]any{}}, want: "spec.options"},
		"OptionsOpen":            {reason: "unknown keys are the protocol's to judge", changes: edits{"spec.options": map[string]any{"x": map[string]any{"y": []any{"z"}}}}},
		"PlacementMissing":       {reason: "required", changes: edits{"spec.proxy.placement": absent{}}, want: "placement"},
		"PlacementUnknown":       {reason: "enum", changes: edits{"spec.proxy.placement": "Sidecar"}, want: "Unsupported value"},
		"ManagedAndExternal":     {reason: "union", changes: edits{"spec.proxy.external": map[string]any{"serverNames": []any{"a"}}}, want: "forbidden otherwise"},
		"ExternalWithManaged":    {reason: "union", changes: edits{"spec.proxy.placement": "External"}, want: "managed is forbidden"},
		"StalenessLow":           {reason: "at least 30 s", changes: edits{"spec.proxy.maxStalenessSeconds": int64(29)}, want: "maxStalenessSeconds"},
		"StalenessHigh":          {reason: "at most 1 h", changes: edits{"spec.proxy.maxStalenessSeconds": int64(3601)}, want: "maxStalenessSeconds"},
		"ReplicasZero":           {reason: "1 to 20", changes: edits{"spec.proxy.managed.replicas": int64(0)}, want: "replicas"},
		"ReplicasMany":           {reason: "1 to 20", changes: edits{"spec.proxy.managed.replicas": int64(21)}, want: "replicas"},
		"DrainNegative":          {reason: "0 to 3600", changes: edits{"spec.proxy.managed.drainSeconds": int64(-1)}, want: "drainSeconds"},
		"DrainNone":              {reason: "sessions are ended at once", changes: edits{"spec.proxy.managed.drainSeconds": int64(0)}},
		"DrainTooLong":           {reason: "0 to 3600", changes: edits{"spec.proxy.managed.drainSeconds": int64(3601)}, want: "drainSeconds"},
		"SpoolWithoutSize":       {reason: "required", changes: edits{"spec.proxy.managed.spool": map[string]any{}}, want: "size"},
		"SpoolZero":              {reason: "above zero", changes: edits{"spec.proxy.managed.spool": map[string]any{"size": "0"}}, want: "above zero"},
		"SessionEmpty":           {reason: "says nothing", changes: edits{"spec.session": map[string]any{}}, want: "spec.session"},
		"SessionDuration":        {reason: "at most a week", changes: edits{"spec.session.maxDurationSeconds": int64(604801)}, want: "maxDurationSeconds"},
		"SessionIdle":            {reason: "at least 10 s", changes: edits{"spec.session.idleTimeoutSeconds": int64(9)}, want: "idleTimeoutSeconds"},
		"SessionConcurrent":      {reason: "at least one", changes: edits{"spec.session.maxConcurrent": int64(0)}, want: "maxConcurrent"},
		"AuditEmpty":             {reason: "says nothing", changes: edits{"spec.audit": map[string]any{}}, want: "spec.audit"},
		"Audit":                  {reason: "everything", changes: edits{"spec.audit": auditSettings("Remote", "Enabled", "Masked", "Text", "Enabled")}},
		"AuditLeast":             {reason: "what unset means, in words", changes: edits{"spec.audit": auditSettings("Local", "Disabled", "None", "Digest", "Disabled")}},
		"Durability":             {reason: "enum", changes: edits{"spec.audit.durability": "Memory"}, want: "Unsupported value"},
		"ReadOverlap":            {reason: "enum", changes: edits{"spec.audit.readOverlap": "On"}, want: "Unsupported value"},
		"ReadOverlapBool":        {reason: "a word, not a bool", changes: edits{"spec.audit.readOverlap": true}, want: "must be of type string"},
		"Responses":              {reason: "there is no unmasked recording", changes: edits{"spec.audit.responses": "Full"}, want: "Unsupported value"},
		"Parameters":             {reason: "enum", changes: edits{"spec.audit.parameters": "None"}, want: "Unsupported value"},
		"LegalHold":              {reason: "enum", changes: edits{"spec.audit.legalHold": "Forever"}, want: "Unsupported value"},
		"LogRetentionShort":      {reason: "at least a minute", changes: edits{"spec.audit.logRetentionSeconds": int64(59)}, want: "logRetentionSeconds"},
		"LogRetentionLong":       {reason: "at most ten years", changes: edits{"spec.audit.logRetentionSeconds": int64(315360001)}, want: "logRetentionSeconds"},
		"NoSpool":                {reason: "records would go with the pod", changes: edits{"spec.proxy.managed.spool": absent{}}, want: "set proxy.managed.spool, or set audit.durability to Remote"},
		"NoSpoolUnset":           {reason: "unset means Local", changes: edits{"spec.proxy.managed.spool": absent{}, "spec.audit.durability": absent{}}, want: "set proxy.managed.spool, or set audit.durability to Remote"},
		"NoSpoolNoAudit":         {reason: "unset means Local", changes: edits{"spec.proxy.managed": absent{}, "spec.audit": absent{}}, want: "set proxy.managed.spool, or set audit.durability to Remote"},
		"NoSpoolRemote":          {reason: "a sink has every record", changes: edits{"spec.proxy.managed.spool": absent{}, "spec.audit.durability": "Remote"}},
		"Retention":              {reason: "at most a year", changes: edits{"spec.audit.sessionRetentionSeconds": int64(31536001)}, want: "sessionRetentionSeconds"},
		"IsolationEmpty":         {reason: "it would mean nothing", changes: edits{"spec.isolation": map[string]any{}}, want: "at least 1 propert"},
		"IsolationElsewhere":     {reason: "the target runs outside of the cluster and is tried all the same", changes: edits{"spec.isolation": map[string]any{"probe": "Enabled"}}},
		"IsolationOfAll":         {reason: "the proxies would be selected", changes: edits{"spec.isolation": map[string]any{"podSelector": map[string]any{}}}, want: "an empty podSelector selects every pod"},
		"IsolationPeersOfNobody": {reason: "peers of what", changes: edits{"spec.isolation": map[string]any{"peers": "Allow"}}, want: "set podSelector, or leave peers out"},
		"IsolationPeers":         {reason: "replication", changes: edits{"spec.isolation": map[string]any{"peers": "Allow", "podSelector": map[string]any{"matchLabels": map[string]any{"app": "db"}}}}},
		"IsolationPeersWord":     {reason: "enum", changes: edits{"spec.isolation": map[string]any{"peers": "Some", "podSelector": map[string]any{"matchLabels": map[string]any{"app": "db"}}}}, want: "Unsupported value"},
		"IsolationProbe":         {reason: "enum", changes: edits{"spec.isolation": map[string]any{"probe": "Off"}}, want: "Unsupported value"},
	})
	tryCreate(t, "connection_external.yaml", map[string]schemaCase{
		"SampleExternal":      {reason: "the sample is valid"},
		"ExternalLocal":       {reason: "the disk is the machine's own", changes: edits{"spec.audit": map[string]any{"durability": "Local"}}},
		"NoExternal":          {reason: "union", changes: edits{"spec.proxy.external": absent{}}, want: "external is required"},
		"NoServerNames":       {reason: "a certificate needs a name", changes: edits{"spec.proxy.external.serverNames": []any{}}, want: "serverNames"},
		"ManyServerNames":     {reason: "bounded", changes: edits{"spec.proxy.external.serverNames": names(17)}, want: "serverNames"},
		"BadServerName":       {reason: "no wildcard", changes: edits{"spec.proxy.external.serverNames": []any{"*.example"}}, want: "server name must be"},
		"ExternalIsolation":   {reason: "no network to close", changes: managed, want: "isolation needs proxy.placement Managed"},
		"FileRelative":        {reason: "absolute", changes: edits{"spec.credential.file.path": "etc/x"}, want: "path must be absolute"},
		"FileTraversal":       {reason: "no traversal", changes: edits{"spec.credential.file.path": "/etc/../x"}, want: "path must be absolute"},
		"FilePathQuotes":      {reason: "a path is part of a command line", changes: edits{"spec.credential.file.path": "/etc/x' --listen=a '"}, want: "spec.credential.file.path"},
		"FilePathLine":        {reason: "and of a line of the file flags", changes: edits{"spec.credential.file.path": "/etc/x\n--listen=a"}, want: "spec.credential.file.path"},
		"FileTypeWithoutFile": {reason: "union", changes: edits{"spec.credential.file": absent{}}, want: "file is required"},
	})
}

func auditSettings(durability, overlap, responses, parameters, hold string) map[string]any {
	return map[string]any{
		"sessionRetentionSeconds": int64(60), "durability": durability, "readOverlap": overlap, "responses": responses,
		"parameters": parameters, "logRetentionSeconds": int64(60), "legalHold": hold,
	}
}

func TestConnectionProtocolIsImmutable(t *testing.T) {
	object := sample("connection.yaml")
	object.SetName("immutable")
	if err := admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, object) })
	changed := edited(object, edits{"spec.protocol": "mysql"})
	expect(t, "another protocol is another Connection", admin.Update(t.Context(), changed, client.DryRunAll), "protocol cannot be changed")
	changed = edited(object, edits{"spec.targets.0.port": int64(5433)})
	expect(t, "the rest may change", admin.Update(t.Context(), changed, client.DryRunAll), "")
}

func TestAccessPolicySchema(t *testing.T) {
	rule := map[string]any{"effect": "Deny", "actions": []any{"select"}}
	mask := map[string]any{"fields": []any{"a"}, "method": map[string]any{"type": "Null"}}
	subject := map[string]any{"kind": "User", "identityProvider": "*"}
	approver := func(kind, name string) edits {
		return edits{"spec.rules.2.approval.approvers": []any{map[string]any{"kind": kind, "name": name}}}
	}
	nothing := edits{"spec.rules": []any{}, "spec.masks": []any{}, "spec.limits": []any{}, "spec.targetRole": ""}
	tryCreate(t, "accesspolicy.yaml", map[string]schemaCase{
		"Sample":     {reason: "the sample is valid"},
		"OnlyRules":  {reason: "rules alone", changes: with(nothing, "spec.rules", sampleField("spec.rules"))},
		"OnlyMasks":  {reason: "masks alone", changes: with(nothing, "spec.masks", sampleField("spec.masks"))},
		"OnlyLimits": {reason: "limits alone", changes: with(nothing, "spec.limits", sampleField("spec.limits"))},
		"OnlyRole":   {reason: "a role alone", changes: with(nothing, "spec.targetRole", "reader")},
		"AnyIdP":     {reason: "any provider is asked for in words", changes: edits{"spec.subjects.0.identityProvider": "*"}},

		"Neither":  {reason: "says nothing", changes: nothing, want: "at least one rule, mask or limit, a targetRole, or rego"},
		"NoLimits": {reason: "checklist 40: always written", changes: edits{"spec.limits": absent{}}, want: "spec.limits"},
		"NoRole":   {reason: "checklist 40: always written", changes: edits{"spec.targetRole": absent{}}, want: "spec.targetRole"},
		"NoRules":  {reason: "checklist 40: always written", changes: edits{"spec.rules": absent{}}, want: "spec.rules"},
		"NoMasks":  {reason: "checklist 40: always written", changes: edits{"spec.masks": absent{}}, want: "spec.masks"},
		"ManyRule": {reason: "bounded", changes: edits{"spec.rules": repeat(65, "name", rule)}, want: "spec.rules"},
		"ManyMask": {reason: "bounded", changes: edits{"spec.masks": repeat(65, "name", mask)}, want: "spec.masks"},

		"NoSubjects":      {reason: "required", changes: edits{"spec.subjects": absent{}}, want: "spec.subjects"},
		"EmptySubjects":   {reason: "at least one", changes: edits{"spec.subjects": []any{}}, want: "spec.subjects"},
		"ManySubjects":    {reason: "bounded", changes: edits{"spec.subjects": repeat(129, "name", subject)}, want: "spec.subjects"},
		"SubjectKind":     {reason: "enum", changes: edits{"spec.subjects.0.kind": "Everybody"}, want: "Unsupported value"},
		"SubjectName":     {reason: "not empty", changes: edits{"spec.subjects.0.name": ""}, want: "name"},
		"SubjectIdP":      {reason: "checklist 40: absent would be broader", changes: edits{"spec.subjects.0.identityProvider": absent{}}, want: "identityProvider"},
		"SubjectIdPGlob":  {reason: "a name, or '*' alone", changes: edits{"spec.subjects.0.identityProvider": "comp*"}, want: "identityProvider must be"},
		"NoConnections":   {reason: "required", changes: edits{"spec.connections": absent{}}, want: "spec.connections"},
		"ManyConnections": {reason: "bounded", changes: edits{"spec.connections": repeat(65, "name", nil)}, want: "spec.connections"},
		"ConnectionGlob":  {reason: "a glob", changes: edits{"spec.connections.0.name": "orders-*"}},
		"ConnectionBad":   {reason: "pattern", changes: edits{"spec.connections.0.name": "other/orders-db"}, want: "name"},

		"RuleTwice":        {reason: "names are unique", changes: edits{"spec.rules.3.name": "read"}, want: "Duplicate value"},
		"RuleName":         {reason: "pattern", changes: edits{"spec.rules.1.name": "Read all"}, want: "name"},
		"RuleEffect":       {reason: "enum", changes: edits{"spec.rules.1.effect": "Permit"}, want: "Unsupported value"},
		"RuleNoEffect":     {reason: "required", changes: edits{"spec.rules.1.effect": absent{}}, want: "effect"},
		"RuleNoActions":    {reason: "required", changes: edits{"spec.rules.1.actions": absent{}}, want: "actions"},
		"RuleManyActions":  {reason: "bounded", changes: edits{"spec.rules.1.actions": names(65)}, want: "actions"},
		"RuleAction":       {reason: "no spaces", changes: edits{"spec.rules.1.actions": []any{"drop table"}}, want: "actions"},
		"AllowNoResources": {reason: "checklist 40: absent would be broader", changes: edits{"spec.rules.1.resources": absent{}}, want: "resources is required when effect is Allow"},
		"AllowAll":         {reason: "everything is asked for in words", changes: edits{"spec.rules.1.resources": []any{"*"}}},
		"AllowProperties":  {reason: "checklist 40: absent would be broader", changes: edits{"spec.rules.1.properties": []any{"multiStatement"}}, want: "properties is forbidden when effect is Allow"},
		"ManyResources":    {reason: "bounded", changes: edits{"spec.rules.1.resources": names(65)}, want: "resources"},
		"ResourceControl":  {reason: "checklist 48: no control characters", changes: edits{"spec.rules.1.resources": []any{"a\nb"}}, want: "resources"},
		"Property":         {reason: "pattern", changes: edits{"spec.rules.3.properties": []any{"Unbounded Write"}}, want: "properties"},
		"ManyProperties":   {reason: "bounded", changes: edits{"spec.rules.3.properties": names(17)}, want: "properties"},
		"MessageLong":      {reason: "bounded", changes: edits{"spec.rules.3.message": longText(513)}, want: "message"},
		"MessageControl":   {reason: "checklist 48: no control characters", changes: edits{"spec.rules.3.message": "a\x1b[2K"}, want: "message"},

		"ApprovalMissing":   {reason: "union", changes: edits{"spec.rules.2.approval": absent{}}, want: "approval is required when effect is RequireApproval"},
		"ApprovalOnDeny":    {reason: "union", changes: edits{"spec.rules.2.effect": "Deny"}, want: "forbidden otherwise"},
		"NoApprovers":       {reason: "at least one", changes: edits{"spec.rules.2.approval.approvers": []any{}}, want: "approvers"},
		"NoMinimum":         {reason: "checklist 40: absent would be broader", changes: edits{"spec.rules.2.approval.minimum": absent{}}, want: "minimum"},
		"MinimumZero":       {reason: "at least one", changes: edits{"spec.rules.2.approval.minimum": int64(0)}, want: "minimum"},
		"MinimumHigh":       {reason: "at most ten", changes: edits{"spec.rules.2.approval.minimum": int64(11)}, want: "minimum"},
		"NoTimeout":         {reason: "checklist 40: absent would be another", changes: edits{"spec.rules.2.approval.timeoutSeconds": absent{}}, want: "timeoutSeconds"},
		"TimeoutLow":        {reason: "at least 10 s", changes: edits{"spec.rules.2.approval.timeoutSeconds": int64(9)}, want: "timeoutSeconds"},
		"TimeoutHigh":       {reason: "at most a day", changes: edits{"spec.rules.2.approval.timeoutSeconds": int64(86401)}, want: "timeoutSeconds"},
		"ApproverSA":        {reason: "a service account in full", changes: approver("User", namedServiceAccount)},
		"ApproverAdmin":     {reason: "no other system user", changes: approver("User", "system:admin"), want: "must be one service account"},
		"ApproverSAPrefix":  {reason: "not half a service account", changes: approver("User", "system:serviceaccount:shop"), want: "must be one service account"},
		"ApproverMasters":   {reason: "no system group", changes: approver("Group", "system:masters"), want: "cannot approve"},
		"ApproverEveryone":  {reason: "no system group", changes: approver("Group", "system:authenticated"), want: "cannot approve"},
		"ApproverKind":      {reason: "enum", changes: approver("Everyone", "x"), want: "Unsupported value"},
		"MaskTwice":         {reason: "names are unique", changes: edits{"spec.masks.1.name": "contact"}, want: "Duplicate value"},
		"MaskNoFields":      {reason: "required", changes: edits{"spec.masks.0.fields": absent{}}, want: "fields or detect is required"},
		"MaskManyFields":    {reason: "bounded", changes: edits{"spec.masks.0.fields": names(129)}, want: "fields"},
		"MaskNoMethod":      {reason: "required", changes: edits{"spec.masks.0.method": absent{}}, want: "method"},
		"MaskMethod":        {reason: "enum", changes: edits{"spec.masks.0.method.type": "Scramble"}, want: "Unsupported value"},
		"MaskNull":          {reason: "null", changes: edits{"spec.masks.0.method.type": "Null"}},
		"MaskHash":          {reason: "a keyed method", changes: edits{"spec.masks.0.method.type": "Hash"}},
		"MaskDigits":        {reason: "a keyed method", changes: edits{"spec.masks.0.method.type": "Digits"}},
		"MaskDerived":       {reason: "enum", changes: edits{"spec.masks.0.derived": "Show"}, want: "Unsupported value"},
		"MaskPredicates":    {reason: "enum", changes: edits{"spec.masks.0.predicates": "Mask"}, want: "Unsupported value"},
		"MaskDeny":          {reason: "what unset means, in words", changes: edits{"spec.masks.0.derived": "Deny", "spec.masks.0.predicates": "Deny"}},
		"MaskBoth":          {reason: "checklist 40: one of them could be misspelt", changes: edits{"spec.masks.0.detect": []any{"Email"}}, want: "not both in one mask"},
		"DetectAll":         {reason: "every detector", changes: edits{"spec.masks.3.detect": list(policy.Detectors()...)}},
		"DetectUnknown":     {reason: "enum", changes: edits{"spec.masks.3.detect": list("EMail")}, want: "Unsupported value"},
		"DetectTwice":       {reason: "a set", changes: edits{"spec.masks.3.detect": list("Email", "Email")}, want: "Duplicate value"},
		"DetectNone":        {reason: "finds nothing", changes: edits{"spec.masks.3.detect": list()}, want: "detect"},
		"DetectDerived":     {reason: "no meaning", changes: edits{"spec.masks.3.derived": "Mask"}, want: "belong to masks of fields"},
		"DetectPredicates":  {reason: "no meaning", changes: edits{"spec.masks.3.predicates": "Deny"}, want: "belong to masks of fields"},
		"KeepLastMissing":   {reason: "union", changes: edits{"spec.masks.1.method.keepLast": absent{}}, want: "keepLast is required"},
		"KeepLastForbidden": {reason: "union", changes: edits{"spec.masks.1.method.type": "Redact"}, want: "forbidden otherwise"},
		"KeepLastZero":      {reason: "at least one", changes: edits{"spec.masks.1.method.keepLast.count": int64(0)}, want: "count"},
		"KeepLastMuch":      {reason: "at most 16", changes: edits{"spec.masks.1.method.keepLast.count": int64(17)}, want: "count"},
	})
}

func TestIdentityProviderSchema(t *testing.T) {
	issuer := func(url string) edits { return edits{"spec.oidc.issuer.url": url} }
	tryCreate(t, "identityprovider.yaml", map[string]schemaCase{
		"Sample":        {reason: "the sample is valid"},
		"NoMapping":     {reason: "callers then obtain no approvals", changes: edits{"spec.kubernetesUsername": absent{}}},
		"NoRules":       {reason: "no further rules, in words", changes: edits{"spec.oidc.claimValidationRules": []any{}}},
		"Path":          {reason: "an issuer with a path", changes: issuer("https://login.example/realms/shop")},
		"Type":          {reason: "enum", changes: edits{"spec.type": "LDAP"}, want: "Unsupported value"},
		"NoOIDC":        {reason: "union", changes: edits{"spec.oidc": absent{}}, want: "oidc is required"},
		"HTTP":          {reason: "https only", changes: issuer("http://login.shop.example"), want: "must be an https URL"},
		"NotURL":        {reason: "a URL", changes: issuer("login.shop.example"), want: "must be an https URL"},
		"Query":         {reason: "no query", changes: issuer("https://login.example/?a=b"), want: "must not have a query"},
		"Fragment":      {reason: "no fragment", changes: issuer("https://login.example/#a"), want: "must not have a query"},
		"UserInfo":      {reason: "no user information", changes: issuer("https://a:b@login.example"), want: "must not have a query"},
		"LongURL":       {reason: "bounded", changes: issuer("https://" + longText(2048)), want: "url"},
		"NoAudience":    {reason: "a token for another service is no token for this one", changes: edits{"spec.oidc.issuer.audiences": []any{}}, want: "audiences"},
		"ManyAudiences": {reason: "bounded", changes: edits{"spec.oidc.issuer.audiences": names(17)}, want: "audiences"},
		"EmptyAudience": {reason: "not empty", changes: edits{"spec.oidc.issuer.audiences": []any{""}}, want: "audiences"},
		"NotPEM":        {reason: "certificates", changes: edits{"spec.oidc.issuer.certificateAuthority": "hello"}, want: "must be PEM certificates"},
		"PrivateKey": {
			reason: "no key in the API", changes: edits{"spec.oidc.issuer.certificateAuthority": "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----"},
			want: "no private key",
		},
		"AlgorithmNone":     {reason: "checklist 28: an allow-list", changes: edits{"spec.oidc.signingAlgorithms": []any{"none"}}, want: "Unsupported value"},
		"AlgorithmHMAC":     {reason: "checklist 28: an allow-list", changes: edits{"spec.oidc.signingAlgorithms": []any{"HS256"}}, want: "Unsupported value"},
		"AlgorithmTwice":    {reason: "a set", changes: edits{"spec.oidc.signingAlgorithms": []any{"RS256", "RS256"}}, want: "Duplicate value"},
		"NoUsername":        {reason: "required", changes: edits{"spec.oidc.claimMappings.username": absent{}}, want: "username"},
		"UsernameNoPrefix":  {reason: "checklist 40: absent would be empty", changes: edits{"spec.oidc.claimMappings.username.prefix": absent{}}, want: "prefix"},
		"UsernamePrefix":    {reason: "bounded", changes: edits{"spec.oidc.claimMappings.username.prefix": longText(65)}, want: "prefix"},
		"GroupsNoPrefix":    {reason: "checklist 40: absent would be empty", changes: edits{"spec.oidc.claimMappings.groups.prefix": absent{}}, want: "prefix"},
		"KindNoClaim":       {reason: "required", changes: edits{"spec.oidc.claimMappings.kind": map[string]any{}}, want: "claim"},
		"RulesAbsent":       {reason: "checklist 40: absent would admit more", changes: edits{"spec.oidc.claimValidationRules": absent{}}, want: "claimValidationRules"},
		"RuleTwice":         {reason: "one value per claim", changes: edits{"spec.oidc.claimValidationRules": []any{map[string]any{"claim": "a", "requiredValue": "1"}, map[string]any{"claim": "a", "requiredValue": "2"}}}, want: "two rules must not be about one claim"},
		"RuleNoValue":       {reason: "required", changes: edits{"spec.oidc.claimValidationRules.0.requiredValue": absent{}}, want: "requiredValue"},
		"RuleBoth":          {reason: "one or the other", changes: edits{"spec.oidc.claimValidationRules.0.expression": "true"}, want: "exactly one of claim and expression"},
		"RuleMessage":       {reason: "a claim's rule says it itself", changes: edits{"spec.oidc.claimValidationRules.0.message": "no"}, want: "message is for an expression"},
		"RuleExpression":    {reason: "a rule by an expression", changes: edits{"spec.oidc.claimValidationRules": []any{map[string]any{"expression": "claims.tenant == 'shop'", "message": "only the shop"}}}},
		"RuleLong":          {reason: "bounded", changes: edits{"spec.oidc.claimValidationRules": []any{map[string]any{"expression": longText(2049)}}}, want: "expression"},
		"ManyRules":         {reason: "bounded", changes: edits{"spec.oidc.claimValidationRules": repeat(33, "claim", map[string]any{"requiredValue": "x"})}, want: "claimValidationRules"},
		"UserRulesAbsent":   {reason: "checklist 40: absent would admit more", changes: edits{"spec.oidc.userValidationRules": absent{}}, want: "userValidationRules"},
		"UserRulesNone":     {reason: "no further rules, in words", changes: edits{"spec.oidc.userValidationRules": []any{}}},
		"UserRuleControl":   {reason: "checklist 48: no control characters", changes: edits{"spec.oidc.userValidationRules.0.message": "a\x1b[2K"}, want: "message"},
		"UsernameByCEL":     {reason: "a name by an expression, without a prefix", changes: edits{"spec.oidc.claimMappings.username": map[string]any{"expression": "claims.sub"}}},
		"UsernameBoth":      {reason: "one or the other", changes: edits{"spec.oidc.claimMappings.username": map[string]any{"expression": "claims.sub", "claim": "sub", "prefix": ""}}, want: "exactly one of claim and expression"},
		"PrefixOfCEL":       {reason: "an expression has its prefix in it", changes: edits{"spec.oidc.claimMappings.username": map[string]any{"expression": "claims.sub", "prefix": ""}}, want: "forbidden with expression"},
		"UID":               {reason: "by a claim", changes: edits{"spec.oidc.claimMappings.uid": map[string]any{"claim": "oid"}}},
		"Extra":             {reason: "by an expression", changes: edits{"spec.oidc.claimMappings.extra": []any{map[string]any{"key": "shop.example/tenant", "valueExpression": "claims.tenant"}}}},
		"ExtraKey":          {reason: "a key has a domain", changes: edits{"spec.oidc.claimMappings.extra": []any{map[string]any{"key": "tenant", "valueExpression": "claims.tenant"}}}, want: "key"},
		"ExtraReserved":     {reason: "nobody calls a pod what Kubernetes does not", changes: edits{"spec.oidc.claimMappings.extra": []any{map[string]any{"key": "authentication.kubernetes.io/pod-name", "valueExpression": "claims.pod"}}}, want: "reserved"},
		"ExtraTwice":        {reason: "a key has one value", changes: edits{"spec.oidc.claimMappings.extra": []any{map[string]any{"key": "a.b/c", "valueExpression": "'x'"}, map[string]any{"key": "a.b/c", "valueExpression": "'y'"}}}, want: "Duplicate value"},
		"Discovery":         {reason: "a document elsewhere", changes: edits{"spec.oidc.issuer.discoveryURL": "https://mirror.example/openid-configuration"}},
		"DiscoveryHTTP":     {reason: "https only", changes: edits{"spec.oidc.issuer.discoveryURL": "http://mirror.example/openid-configuration"}, want: "must be an https URL"},
		"DiscoverySame":     {reason: "it says nothing", changes: edits{"spec.oidc.issuer.discoveryURL": "https://login.shop.example"}, want: "must be another address"},
		"KubernetesByCEL":   {reason: "the rest of the name by an expression", changes: edits{"spec.kubernetesUsername.expression": "claims.sub"}},
		"SkewHigh":          {reason: "at most 300 s", changes: edits{"spec.oidc.clockSkewSeconds": int64(301)}, want: "clockSkewSeconds"},
		"KubernetesSystem":  {reason: "reserved names", changes: edits{"spec.kubernetesUsername.prefix": "system:"}, want: "must not begin with 'system:'"},
		"KubernetesNoValue": {reason: "checklist 40: absent would be empty", changes: edits{"spec.kubernetesUsername": map[string]any{}}, want: "prefix"},
		"KubernetesEmpty":   {reason: "no prefix, in words", changes: edits{"spec.kubernetesUsername.prefix": ""}},
	})
}

// TestIdentityProviderKubernetesSchema: ServiceAccounts, and the samples of CI.
func TestIdentityProviderKubernetesSchema(t *testing.T) {
	for _, sample := range []string{"identityprovider_github.yaml", "identityprovider_gitlab.yaml"} {
		tryCreate(t, sample, map[string]schemaCase{"Sample": {reason: "the sample is valid"}})
	}
	keys := edits{"spec.kubernetes.verification": "IssuerKeys"}
	const authority = "-----BEGIN CERTIFICATE-----"
	tryCreate(t, "identityprovider_kubernetes.yaml", map[string]schemaCase{
		"Sample":       {reason: "the sample is valid"},
		"Keys":         {reason: "by the cluster's keys", changes: with(keys, "spec.kubernetes.issuer.certificateAuthority", authority)},
		"Authority":    {reason: "an API server is asked by the proxy's own way to it", changes: edits{"spec.kubernetes.issuer.certificateAuthority": authority}, want: "are for verification IssuerKeys"},
		"Discovery":    {reason: "nor is there a document", changes: edits{"spec.kubernetes.issuer.discoveryURL": "https://mirror.example/x"}, want: "are for verification IssuerKeys"},
		"NoWay":        {reason: "how tokens are verified is said in words", changes: edits{"spec.kubernetes.verification": absent{}}, want: "verification"},
		"OtherWay":     {reason: "enum", changes: edits{"spec.kubernetes.verification": "None"}, want: "Unsupported value"},
		"NoPrefix":     {reason: "checklist 40: absent would be empty", changes: edits{"spec.kubernetes.prefix": absent{}}, want: "prefix"},
		"Prefix":       {reason: "another cluster's names", changes: edits{"spec.kubernetes.prefix": "edge:"}},
		"SystemPrefix": {reason: "reserved names", changes: edits{"spec.kubernetes.prefix": "system:"}, want: "must not begin with 'system:'"},
		"NoAudience":   {reason: "checklist 29: a token for the API server is none for us", changes: edits{"spec.kubernetes.issuer.audiences": absent{}}, want: "audiences"},
		"OwnAudience":  {reason: "checklist 29: an API server takes its issuer for its own audience, so every pod's token would do", changes: edits{"spec.kubernetes.issuer.audiences": []any{"doorward", "https://kubernetes.default.svc.cluster.local"}}, want: "must not be that of an API server"},
		"Default":      {reason: "checklist 29: nor the name that clouds give it", changes: edits{"spec.kubernetes.issuer.url": "https://oidc.cloud.example/id/1", "spec.kubernetes.issuer.audiences": []any{"https://kubernetes.default.svc"}}, want: "must not be that of an API server"},
		"CloudIssuer":  {reason: "checklist 29: whatever the issuer is called", changes: edits{"spec.kubernetes.issuer.url": "https://oidc.cloud.example/id/1", "spec.kubernetes.issuer.audiences": []any{"https://oidc.cloud.example/id/1"}}, want: "must not be that of an API server"},
		"OwnName":      {reason: "an audience may be a URL", changes: edits{"spec.kubernetes.issuer.audiences": []any{"https://kubernetes.example/doorward"}}},
		"Mapped":       {reason: "a ServiceAccount obtains no approvals", changes: edits{"spec.kubernetesUsername": map[string]any{"prefix": ""}}, want: "kubernetesUsername is not for type Kubernetes"},
		"Missing":      {reason: "union", changes: edits{"spec.kubernetes": absent{}}, want: "kubernetes is required"},
		"Both":         {reason: "union", changes: edits{"spec.type": "OIDC"}, want: "kubernetes is required when type is Kubernetes, and forbidden otherwise"},
	})
}

// TestIdentityProviderSAMLSchema: what SAML needs, and what login may be.
func TestIdentityProviderSAMLSchema(t *testing.T) {
	login := func(more map[string]any) edits {
		settings := map[string]any{"lifetimeSeconds": int64(3600)}
		maps.Copy(settings, more)
		return edits{"spec.login": settings}
	}
	tryCreate(t, "identityprovider_saml.yaml", map[string]schemaCase{
		"Sample":          {reason: "the sample is valid"},
		"NoMetadata":      {reason: "required", changes: edits{"spec.saml.metadata": absent{}}, want: "metadata"},
		"LongMetadata":    {reason: "bounded", changes: edits{"spec.saml.metadata": longText(65537)}, want: "metadata"},
		"NoEntity":        {reason: "required", changes: edits{"spec.saml.entityID": absent{}}, want: "entityID"},
		"OwnEntity":       {reason: "for several clusters", changes: edits{"spec.saml.serviceProviderEntityID": "urn:shop:doorward"}},
		"OwnEntityNoURI":  {reason: "a URI", changes: edits{"spec.saml.serviceProviderEntityID": "doorward"}, want: "serviceProviderEntityID"},
		"OwnEntitySpaces": {reason: "a URI", changes: edits{"spec.saml.serviceProviderEntityID": "urn:a b"}, want: "serviceProviderEntityID"},
		"OwnEntityTheirs": {reason: "who is who?", changes: edits{"spec.saml.serviceProviderEntityID": "https://idp.shop.example/metadata"}, want: "they must differ"},
		"NoEncryption":    {reason: "said in words", changes: edits{"spec.saml.assertionEncryption": absent{}}, want: "assertionEncryption"},
		"OtherEncryption": {reason: "enum", changes: edits{"spec.saml.assertionEncryption": "None"}, want: "Unsupported value"},
		"Plain":           {reason: "protected by TLS alone", changes: edits{"spec.saml.assertionEncryption": "Optional"}},
		"NoUsername":      {reason: "required", changes: edits{"spec.saml.claimMappings.username": absent{}}, want: "username"},
		"Email":           {reason: "checklist 28: nobody says that it is verified", changes: edits{"spec.saml.claimMappings.username.claim": "email"}, want: "email_verified"},
		"RulesAbsent":     {reason: "checklist 40: absent would admit more", changes: edits{"spec.saml.claimValidationRules": absent{}}, want: "claimValidationRules"},
		"RuleTwice":       {reason: "one value per claim", changes: edits{"spec.saml.claimValidationRules": []any{map[string]any{"claim": "a", "requiredValue": "1"}, map[string]any{"claim": "a", "requiredValue": "2"}}}, want: "two rules must not be about one claim"},
		"UserRulesAbsent": {reason: "checklist 40: absent would admit more", changes: edits{"spec.saml.userValidationRules": absent{}}, want: "userValidationRules"},
		"SkewHigh":        {reason: "at most 300 s", changes: edits{"spec.saml.clockSkewSeconds": int64(301)}, want: "clockSkewSeconds"},
		"NoSAML":          {reason: "union", changes: edits{"spec.saml": absent{}}, want: "saml is required when type is SAML"},
		"OtherType":       {reason: "union", changes: edits{"spec.type": "OIDC"}, want: "forbidden otherwise"},
		"NoLogin":         {reason: "nobody can show an assertion to a proxy", changes: edits{"spec.login": absent{}}, want: "login is required when type is SAML"},
		"NoLifetime":      {reason: "required", changes: edits{"spec.login": map[string]any{}}, want: "lifetimeSeconds"},
		"ShortLifetime":   {reason: "a login is for a while", changes: login(map[string]any{"lifetimeSeconds": int64(299)}), want: "lifetimeSeconds"},
		"LongLifetime":    {reason: "and for no more than half a day", changes: login(map[string]any{"lifetimeSeconds": int64(43201)}), want: "lifetimeSeconds"},
		"ClientOfSAML":    {reason: "SAML has no clients", changes: login(map[string]any{"clientID": "doorward"}), want: "are for type OIDC"},
		"NotMapped":       {reason: "callers then obtain no approvals", changes: edits{"spec.kubernetesUsername": absent{}}},
	})
	tryCreate(t, "identityprovider.yaml", map[string]schemaCase{
		"Exchange":      {reason: "tokens can be exchanged", changes: login(nil)},
		"Client":        {reason: "the portal is one of the audiences", changes: login(map[string]any{"clientID": "doorward"})},
		"OtherClient":   {reason: "its tokens would be refused", changes: login(map[string]any{"clientID": "portal"}), want: "must be one of oidc.issuer.audiences"},
		"Secret":        {reason: "a client with a secret", changes: login(map[string]any{"clientID": "doorward", "clientSecretRef": map[string]any{"name": "portal"}, "scopes": []any{"groups"}})},
		"SecretAlone":   {reason: "of no client", changes: login(map[string]any{"clientSecretRef": map[string]any{"name": "portal"}}), want: "need a clientID"},
		"ScopesAlone":   {reason: "of no client", changes: login(map[string]any{"scopes": []any{"groups"}}), want: "need a clientID"},
		"ScopeSpaces":   {reason: "one scope each", changes: login(map[string]any{"clientID": "doorward", "scopes": []any{"a b"}}), want: "scopes"},
		"ScopeTwice":    {reason: "a set", changes: login(map[string]any{"clientID": "doorward", "scopes": []any{"a", "a"}}), want: "Duplicate value"},
		"ManyScopes":    {reason: "bounded", changes: login(map[string]any{"clientID": "doorward", "scopes": names(17)}), want: "scopes"},
		"SecretNoName":  {reason: "required", changes: login(map[string]any{"clientID": "doorward", "clientSecretRef": map[string]any{}}), want: "name"},
		"SAMLAlongside": {reason: "union", changes: edits{"spec.saml": map[string]any{}}, want: "saml"},
	})
	tryCreate(t, "identityprovider_kubernetes.yaml", map[string]schemaCase{
		"Login":  {reason: "a workload exchanges its token", changes: with(login(nil), "spec.kubernetes.verification", "IssuerKeys")},
		"Review": {reason: "nobody can vouch for what the API server is asked about each time", changes: login(nil), want: "set kubernetes.verification to IssuerKeys"},
		"Client": {reason: "a cluster has no clients", changes: login(map[string]any{"clientID": "doorward"}), want: "are for type OIDC"},
	})
}

func TestApprovalRequestSchema(t *testing.T) {
	tryCreate(t, "approvalrequest.yaml", map[string]schemaCase{
		"Sample":        {reason: "the sample is valid"},
		"Scope":         {reason: "enum", changes: edits{"spec.scope": "Both"}, want: "Unsupported value"},
		"NoRequester":   {reason: "required", changes: edits{"spec.requester": absent{}}, want: "spec.requester"},
		"NotMapped":     {reason: "a requester has a Kubernetes user name", changes: edits{"spec.requester.username": absent{}}, want: "username"},
		"ManyGroups":    {reason: "bounded", changes: edits{"spec.requester.groups": names(257)}, want: "groups"},
		"DigestShort":   {reason: "a SHA-256", changes: edits{"spec.operation.digest": "sha256:00"}, want: "digest"},
		"DigestUpper":   {reason: "one spelling", changes: edits{"spec.operation.digest": "sha256:" + upper(64)}, want: "digest"},
		"StatementLong": {reason: "checklist 37, 38: bounded", changes: edits{"spec.operation.statement": longText(8193)}, want: "statement"},
		"Truncation":    {reason: "checklist 37: said in words", changes: edits{"spec.operation.truncation": absent{}}, want: "truncation"},
		"NoAccesses":    {reason: "at least one", changes: edits{"spec.operation.accesses": []any{}}, want: "accesses"},
		"Nonce":         {reason: "a SHA-256", changes: edits{"spec.holder.nonce": "x"}, want: "nonce"},
		"NoBinding":     {reason: "required", changes: edits{"spec.binding": absent{}}, want: "are required when scope is Operation"},
		"NoPolicies":    {reason: "at least one", changes: edits{"spec.binding.policies": []any{}}, want: "policies"},
		"NoApprovers":   {reason: "at least one", changes: edits{"spec.approvers": []any{}}, want: "spec.approvers"},
		"SystemGroup":   {reason: "no system group", changes: edits{"spec.approvers": []any{map[string]any{"kind": "Group", "name": "system:masters"}}}, want: "cannot approve"},
		"Minimum":       {reason: "at least one", changes: edits{"spec.minimumApprovals": int64(0)}, want: "minimumApprovals"},
		"NoExpiry":      {reason: "required", changes: edits{"spec.expiresAt": absent{}}, want: "expiresAt"},
		"Connection":    {reason: "a name in this namespace", changes: edits{"spec.connectionRef.name": "other/db"}, want: "DNS label"},
	})
}

func TestAuditSessionSchema(t *testing.T) {
	tryCreate(t, "auditsession.yaml", map[string]schemaCase{
		"Sample":         {reason: "the sample is valid"},
		"NoActor":        {reason: "required", changes: edits{"spec.actor": absent{}}, want: "spec.actor"},
		"Kind":           {reason: "enum", changes: edits{"spec.actor.kind": "Bot"}, want: "Unsupported value"},
		"NoProvider":     {reason: "required", changes: edits{"spec.actor.identityProvider": absent{}}, want: "identityProvider"},
		"LongDelegation": {reason: "bounded", changes: edits{"spec.actor.delegation": repeat(17, "subject", nil)}, want: "delegation"},
		"Delegation":     {reason: "a chain", changes: edits{"spec.actor.delegation": []any{map[string]any{"subject": "agent-1"}}}},
		"NoClient":       {reason: "required", changes: edits{"spec.clientAddress": absent{}}, want: "clientAddress"},
		"NoStart":        {reason: "required", changes: edits{"spec.startedAt": absent{}}, want: "startedAt"},
	})
}
