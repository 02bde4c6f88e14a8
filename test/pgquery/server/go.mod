// This module only builds the process that answers with the reference parser of PostgreSQL.
module github.com/doorward/doorward/test/pgquery/server

go 1.26.0

require (
	github.com/pganalyze/pg_query_go/v6 v6.2.5
	google.golang.org/protobuf v1.36.11
)
