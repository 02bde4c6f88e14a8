// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"strings"

	"github.com/multigres/multigres/go/common/parser/ast"
)

// cluster walks definitions of roles, databases, servers and what else lives
// outside schemas. Whatever is left is unknown.
func (a *analysis) cluster(n ast.Node, one func(kind, action, resource string)) {
	switch s := n.(type) {
	case *ast.CreateRoleStmt:
		one("CREATE ROLE", ActionCreate, "role:"+s.Role)
	case *ast.AlterRoleStmt:
		a.ddl("ALTER ROLE", false)
		a.roles(roleList(s.Role), ActionAlter)
	case *ast.AlterRoleSetStmt:
		a.ddl("ALTER ROLE", false)
		if s.Role == nil {
			a.access(ActionAlter, "role:all", nil)
		} else {
			a.roles(roleList(s.Role), ActionAlter)
		}
	case *ast.DropRoleStmt:
		a.ddl("DROP ROLE", false)
		a.roles(s.Roles, ActionDrop)
	case *ast.CreatedbStmt:
		one("CREATE DATABASE", ActionCreate, "database:"+s.Dbname)
	case *ast.DropdbStmt:
		one("DROP DATABASE", ActionDrop, "database:"+s.Dbname)
	case *ast.AlterDatabaseStmt:
		one("ALTER DATABASE", ActionAlter, "database:"+s.Dbname)
	case *ast.AlterDatabaseSetStmt:
		one("ALTER DATABASE", ActionAlter, "database:"+s.Dbname)
	case *ast.AlterDatabaseRefreshCollStmt:
		one("ALTER DATABASE", ActionAlter, "database:"+s.Dbname)
	case *ast.AlterSystemStmt:
		name := "all"
		if s.Setstmt != nil && s.Setstmt.Name != "" {
			name = strings.ToLower(s.Setstmt.Name)
		}
		one("ALTER SYSTEM", ActionAlter, "system:"+name)
	case *ast.CreateExtensionStmt:
		one("CREATE EXTENSION", ActionCreate, "extension:"+s.Extname)
	case *ast.AlterExtensionStmt:
		one("ALTER EXTENSION", ActionAlter, "extension:"+s.Extname)
	case *ast.AlterExtensionContentsStmt:
		one("ALTER EXTENSION", ActionAlter, "extension:"+s.Extname)
	case *ast.CreateTableSpaceStmt:
		one("CREATE TABLESPACE", ActionCreate, "tablespace:"+s.TablespaceName)
	case *ast.AlterTableSpaceStmt:
		one("ALTER TABLESPACE", ActionAlter, "tablespace:"+s.TablespaceName)
	case *ast.DropTableSpaceStmt:
		one("DROP TABLESPACE", ActionDrop, "tablespace:"+s.Tablespacename)
	case *ast.AlterTableMoveAllStmt:
		one("ALTER TABLESPACE", ActionAlter, "tablespace:"+s.OrigTablespacename)
	case *ast.CreateFdwStmt:
		one("CREATE FOREIGN DATA WRAPPER", ActionCreate, "foreignDataWrapper:"+s.FdwName)
	case *ast.AlterFdwStmt:
		one("ALTER FOREIGN DATA WRAPPER", ActionAlter, "foreignDataWrapper:"+s.FdwName)
	case *ast.CreateForeignServerStmt:
		one("CREATE SERVER", ActionCreate, "server:"+s.Servername)
	case *ast.AlterForeignServerStmt:
		one("ALTER SERVER", ActionAlter, "server:"+s.Servername)
	case *ast.CreateUserMappingStmt:
		one("CREATE USER MAPPING", ActionCreate, "userMapping:"+s.Servername)
	case *ast.AlterUserMappingStmt:
		one("ALTER USER MAPPING", ActionAlter, "userMapping:"+s.Servername)
	case *ast.DropUserMappingStmt:
		one("DROP USER MAPPING", ActionDrop, "userMapping:"+s.Servername)
	case *ast.ImportForeignSchemaStmt:
		name := ""
		if s.LocalSchema != nil {
			name = s.LocalSchema.SVal
		}
		one("IMPORT FOREIGN SCHEMA", ActionCreate, "schema:"+name)
	case *ast.CreatePublicationStmt:
		one("CREATE PUBLICATION", ActionCreate, "publication:"+s.PubName)
		a.list(s.PubObjects, nil)
	case *ast.AlterPublicationStmt:
		one("ALTER PUBLICATION", ActionAlter, "publication:"+s.PubName)
		a.list(s.PubObjects, nil)
	case *ast.CreateSubscriptionStmt:
		one("CREATE SUBSCRIPTION", ActionCreate, "subscription:"+s.SubName)
	case *ast.AlterSubscriptionStmt:
		one("ALTER SUBSCRIPTION", ActionAlter, "subscription:"+s.SubName)
	case *ast.CreateEventTrigStmt:
		one("CREATE EVENT TRIGGER", ActionCreate, "eventTrigger:"+s.TrigName)
	case *ast.AlterEventTrigStmt:
		one("ALTER EVENT TRIGGER", ActionAlter, "eventTrigger:"+s.TrigName)
	case *ast.LoadStmt:
		one("LOAD", ActionUnknown, "LOAD")
	default:
		a.out.Kind = "UNKNOWN"
		a.facts.kind = "UNKNOWN"
		a.unknownNode(n)
	}
}

func roleList(r *ast.RoleSpec) *ast.NodeList {
	l := ast.NewNodeList()
	if r != nil {
		l.Append(r)
	}
	return l
}
