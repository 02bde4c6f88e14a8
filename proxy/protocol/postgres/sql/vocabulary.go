// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

// Actions that statements are described with; policies match them.
const (
	ActionSelect      = "select"
	ActionEvaluate    = "evaluate"
	ActionInsert      = "insert"
	ActionUpdate      = "update"
	ActionDelete      = "delete"
	ActionTruncate    = "truncate"
	ActionCreate      = "create"
	ActionAlter       = "alter"
	ActionDrop        = "drop"
	ActionGrant       = "grant"
	ActionExecute     = "execute"
	ActionDo          = "do"
	ActionLock        = "lock"
	ActionListen      = "listen"
	ActionNotify      = "notify"
	ActionSet         = "set"
	ActionShow        = "show"
	ActionTransaction = "transaction"
	ActionSession     = "session"
	ActionMaintain    = "maintain"
	ActionComment     = "comment"
	ActionCopyProgram = "copyProgram"
	ActionCopyFile    = "copyFile"
	ActionUnknown     = "unknown"
)

// Properties that statements may have besides their accesses.
const (
	PropertyUnboundedWrite       = "unboundedWrite"
	PropertyMultiStatement       = "multiStatement"
	PropertyExplainAnalyze       = "explainAnalyze"
	PropertyWritableCTE          = "writableCTE"
	PropertyCopy                 = "copy"
	PropertyRowLock              = "rowLock"
	PropertyCascade              = "cascade"
	PropertyCursor               = "cursor"
	PropertyTransactionReadWrite = "transactionReadWrite"
)

// ActionDoc documents one action: what does it, and what its resource is.
type ActionDoc struct{ Name, Resource, Description string }

// PropertyDoc documents one property.
type PropertyDoc struct{ Name, Description string }

const relationResource = "schema.relation; pg_temp.relation for a temporary one"

// Actions is the whole vocabulary, in the order it is documented.
var Actions = []ActionDoc{
	{ActionSelect, relationResource, "SELECT, TABLE, VALUES, COPY TO, a relation read in FROM, USING or a subquery of another statement, RETURNING, and structure read by LIKE or REFERENCES. What UPDATE and DELETE read of their own target in WHERE belongs to update and delete."},
	{ActionEvaluate, "none", "SELECT and VALUES that touch no relation and call only harmless functions, such as SELECT 1 or SELECT now()."},
	{ActionInsert, relationResource, "INSERT, COPY FROM, MERGE ... INSERT, the target of SELECT INTO and CREATE TABLE AS is create instead."},
	{ActionUpdate, relationResource, "UPDATE, INSERT ... ON CONFLICT DO UPDATE, MERGE ... UPDATE."},
	{ActionDelete, relationResource, "DELETE, MERGE ... DELETE."},
	{ActionTruncate, relationResource, "TRUNCATE."},
	{ActionCreate, "schema.relation, or kind:name such as function:public.f, role:r, schema:s", "CREATE, SELECT INTO, IMPORT FOREIGN SCHEMA."},
	{ActionAlter, "as for create, system:parameter for ALTER SYSTEM", "ALTER in all forms, renaming, SECURITY LABEL, REASSIGN OWNED; the parent of INHERITS or PARTITION OF."},
	{ActionDrop, "as for create", "DROP, DROP OWNED."},
	{ActionGrant, "as for create", "GRANT, REVOKE, ALTER DEFAULT PRIVILEGES."},
	{ActionExecute, "schema.function; operator:schema.op, cast:schema.type", "Any call of a function or procedure that is not on the list of harmless built-in ones, in any notation, CALL included; user-defined operators and casts."},
	{ActionDo, "the language", "DO: an anonymous block, whose content is not analysed."},
	{ActionLock, relationResource, "LOCK TABLE; SELECT ... FOR UPDATE, NO KEY UPDATE, SHARE or KEY SHARE adds it to the select of each relation that is locked."},
	{ActionListen, "the channel", "LISTEN, UNLISTEN."},
	{ActionNotify, "the channel", "NOTIFY."},
	{ActionSet, "the parameter, all for RESET ALL", "SET, RESET, set_config with a constant name."},
	{ActionShow, "the parameter, or all", "SHOW."},
	{ActionTransaction, "", "BEGIN, COMMIT, ROLLBACK, savepoints, SET TRANSACTION, SET CONSTRAINTS, two-phase commit."},
	{ActionSession, "", "DEALLOCATE, DISCARD, CLOSE, FETCH, MOVE: what the session holds of its own. The query of a cursor is decided when it is declared."},
	{ActionMaintain, relationResource + "; schema:name, database:name, empty for all", "VACUUM, ANALYZE, REINDEX, CLUSTER, REFRESH MATERIALIZED VIEW, CHECKPOINT."},
	{ActionComment, "as for create", "COMMENT ON."},
	{ActionCopyProgram, "the command line", "COPY ... PROGRAM: runs a program on the target's machine."},
	{ActionCopyFile, "the file name", "COPY from or to a file on the target's machine."},
	{ActionUnknown, "the statement's kind in the parser's words", "Whatever the analysis does not know, LOAD included."},
}

// Properties is the list of all properties.
var Properties = []PropertyDoc{
	{PropertyUnboundedWrite, "UPDATE or DELETE without WHERE, or with one that is true for every row or reads no column; MERGE that updates or deletes with such a condition."},
	{PropertyMultiStatement, "The statement came with others in one text, which the server runs as one transaction."},
	{PropertyExplainAnalyze, "EXPLAIN ANALYZE: the statement is run."},
	{PropertyWritableCTE, "INSERT, UPDATE, DELETE or MERGE inside WITH."},
	{PropertyCopy, "COPY: rows are moved in bulk."},
	{PropertyRowLock, "SELECT ... FOR UPDATE and the like."},
	{PropertyCascade, "DROP, TRUNCATE or REVOKE with CASCADE: more than is named is affected."},
	{PropertyCursor, "DECLARE CURSOR: the rows are fetched later."},
	{PropertyTransactionReadWrite, "A transaction is asked to be READ WRITE."},
}
