// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package arch_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/doorward/doorward/test/arch"
)

const module = "github.com/doorward/doorward"

func TestImportTable(t *testing.T) {
	violations, err := arch.Check(filepath.Join("..", ".."), module, arch.Table)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
}

func TestEveryRuleHasAReason(t *testing.T) {
	for _, rule := range arch.Table {
		if rule.Reason == "" {
			t.Errorf("the rule for %q has no reason", rule.Packages)
		}
	}
}

// TestViolationsAreFound shows that the table says no to what it is there to forbid.
func TestViolationsAreFound(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		file   string
		source string
		want   []string // Violation.What
	}{
		"protocol imports the server": {
			reason: "the server calls a protocol, never the other way",
			file:   "proxy/protocol/mysql/x.go",
			source: `import _ "github.com/doorward/doorward/proxy/server"`,
			want:   []string{`"proxy/protocol/mysql" imports "github.com/doorward/doorward/proxy/server"`},
		},
		"protocol imports another protocol": {
			reason: "shared words of two protocols are a package of their own",
			file:   "proxy/protocol/mysql/wire/x.go",
			source: `import _ "github.com/doorward/doorward/proxy/protocol/postgres"`,
			want:   []string{`"proxy/protocol/mysql/wire" imports "github.com/doorward/doorward/proxy/protocol/postgres"`},
		},
		"protocol imports its own folders and the contract": {
			reason: "this is what a protocol is made of",
			file:   "proxy/protocol/mysql/wire/x.go",
			source: `import (
				_ "net"
				_ "github.com/doorward/doorward/proxy/access"
				_ "github.com/doorward/doorward/proxy/protocol"
				_ "github.com/doorward/doorward/proxy/protocol/mysql/sql"
				_ "github.com/doorward/doorward/proxy/relay"
			)`,
		},
		"protocol imports a sink, the API, a controller and the dialler": {
			reason: "none of them is about the words on the wire",
			file:   "proxy/protocol/mysql/x.go",
			source: `import (
				_ "github.com/doorward/doorward/api/v1alpha1"
				_ "github.com/doorward/doorward/controllers/kit"
				_ "github.com/doorward/doorward/proxy/record/sink/file"
				_ "github.com/doorward/doorward/proxy/upstream"
			)`,
			want: []string{
				`"proxy/protocol/mysql" imports "github.com/doorward/doorward/api/v1alpha1"`,
				`"proxy/protocol/mysql" imports "github.com/doorward/doorward/controllers/kit"`,
				`"proxy/protocol/mysql" imports "github.com/doorward/doorward/proxy/record/sink/file"`,
				`"proxy/protocol/mysql" imports "github.com/doorward/doorward/proxy/upstream"`,
			},
		},
		"protocol dials": {
			reason: "the road ends in Grant.Dial",
			file:   "proxy/protocol/mysql/x.go",
			source: `import ("crypto/tls"; n "net")
				var d n.Dialer
				var _, _ = n.Dial("tcp", "x")
				var _, _ = tls.DialWithDialer(&d, "tcp", "x", nil)`,
			want: []string{"use of net.Dialer", "use of net.Dial", "use of crypto/tls.DialWithDialer"},
		},
		"protocol dot-imports net": {
			reason: "a bare Dial would not be seen",
			file:   "proxy/protocol/mysql/x.go",
			source: `import . "net"`,
			want:   []string{`dot import of "net" hides a dial`},
		},
		"leaf imports ours": {
			reason: "everything stands on a leaf",
			file:   "proxy/identity/x.go",
			source: `import _ "github.com/doorward/doorward/proxy/policy"`,
			want:   []string{`"proxy/identity" imports "github.com/doorward/doorward/proxy/policy"`},
		},
		"API imports a client": {
			reason: "whoever imports the types gets their dependencies",
			file:   "api/v1alpha1/x.go",
			source: `import (
				_ "k8s.io/apimachinery/pkg/apis/meta/v1"
				_ "k8s.io/client-go/rest"
			)`,
			want: []string{`"api/v1alpha1" imports "k8s.io/client-go/rest"`},
		},
		"controller imports the server": {
			reason: "the manager is not on the data path",
			file:   "controllers/connection/x.go",
			source: `import _ "github.com/doorward/doorward/proxy/server"`,
			want:   []string{`"controllers/connection" imports "github.com/doorward/doorward/proxy/server"`},
		},
		"command imports a development tool": {
			reason: "the development issuer is in no image",
			file:   "cmd/proxy/x.go",
			source: `import _ "github.com/doorward/doorward/hack/issuer"`,
			want:   []string{`"cmd/proxy" imports "github.com/doorward/doorward/hack/issuer"`},
		},
		"command wires implementations": {
			reason: "cmd is where they meet",
			file:   "cmd/proxy/x.go",
			source: `import (
				_ "github.com/doorward/doorward/proxy/protocol/all"
				_ "github.com/doorward/doorward/proxy/record/sink/file"
			)`,
		},
		"server imports OpenTelemetry": {
			reason: "one package knows it",
			file:   "proxy/server/x.go",
			source: `import _ "go.opentelemetry.io/otel/trace"`,
			want:   []string{`"proxy/server" imports "go.opentelemetry.io/otel/trace"`},
		},
		"server imports a test kit": {
			reason: "a test kit is for tests",
			file:   "proxy/server/x.go",
			source: `import _ "github.com/doorward/doorward/proxy/protocol/protocoltest"`,
			want:   []string{`"proxy/server" imports "github.com/doorward/doorward/proxy/protocol/protocoltest"`},
		},
		"test kit dials": {
			reason: "it plays the client",
			file:   "proxy/protocol/protocoltest/x.go",
			source: `import ("net"; _ "github.com/doorward/doorward/test/testcert")
				var _ net.Dialer`,
		},
		"unknown folder": {
			reason: "a new folder is allowed nothing until its rule is written",
			file:   "pkg/util/x.go",
			source: ``,
			want:   []string{`package "pkg/util" is not in the import table`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			file := filepath.Join(root, filepath.FromSlash(tc.file))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("package x\n"+tc.source), 0o600); err != nil {
				t.Fatal(err)
			}
			violations, err := arch.Check(root, module, arch.Table)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range violations {
				got = append(got, v.What)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
