// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package cel_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

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
