// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package sql

import (
	"github.com/doorward/doorward/proxy/protocol/postgres/catalog"
)

// harmless says whether a function may be called without a rule for it: a
// built-in one that is immutable or stable and neither reads data by name nor
// runs text as SQL, or a volatile one out of a short list; of extensions, an
// immutable one, which reads no data: those of citext share the names of built-in
// ones.
func harmless(f *catalog.Function) bool {
	if f.Extension && f.OID >= catalog.FirstUserOID {
		return f.Volatility == 'i' && !f.SecurityDefiner
	}
	if f.Schema != catalog.SystemSchema && f.Schema != informationSchema || f.OID >= catalog.FirstUserOID || readsData[f.Name] {
		return false
	}
	if f.Volatility == 'v' {
		return harmlessVolatile[f.Name]
	}
	return true
}

// informationSchema has functions of its own, which drivers call: JDBC's
// getPrimaryKeys is one.
const informationSchema = "information_schema"

// writes says whether a built-in function changes something although it counts
// as stable: these give the transaction an id, which is written to the log.
func writes(f *catalog.Function) bool {
	return f.Name == "txid_current" || f.Name == "pg_current_xact_id"
}

// harmlessVolatile are built-in functions that are volatile only because two
// calls differ, or that look at the catalog and at sizes.
var harmlessVolatile = set(
	"random", "setseed", "clock_timestamp", "timeofday", "gen_random_uuid",
	"pg_sleep", "pg_sleep_for", "pg_sleep_until",
	"currval", "lastval",
	"pg_is_in_recovery", "pg_current_xact_id_if_assigned", "txid_current_if_assigned",
	"pg_table_size", "pg_indexes_size", "pg_relation_size", "pg_total_relation_size",
	"pg_database_size", "pg_tablespace_size",
	"pg_blocking_pids", "pg_safe_snapshot_blocking_pids", "pg_lock_status",
	"pg_partition_ancestors", "pg_partition_tree", "pg_sequence_last_value",
	"pg_collation_actual_version", "pg_database_collation_actual_version",
	"pg_current_wal_flush_lsn", "pg_current_wal_insert_lsn", "pg_current_wal_lsn",
	"pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp",
	"pg_is_wal_replay_paused", "pg_get_wal_replay_pause_state", "pg_jit_available",
	"pg_xact_status", "txid_status", "pg_xact_commit_timestamp", "pg_last_committed_xact",
	"pg_notification_queue_usage", "pg_stat_have_stats", "current_query",
)

// readsData are built-in functions that read relations, files, large objects
// or other sessions' statements by a name or text given at run time, whatever
// their volatility.
var readsData = set(
	"query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema",
	"cursor_to_xml", "cursor_to_xmlschema",
	"table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema",
	"schema_to_xml", "schema_to_xmlschema", "schema_to_xml_and_xmlschema",
	"database_to_xml", "database_to_xmlschema", "database_to_xml_and_xmlschema",
	"ts_stat", "ts_rewrite", "currtid", "currtid2",
	"pg_stat_get_activity", "pg_stat_get_backend_activity", "pg_stat_get_backend_activity_start",
	"pg_mcv_list_items", "lo_get", "loread", "lo_open", "lo_export", "lo_import",
	"pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "pg_current_logfile",
	"pg_hba_file_rules", "pg_ident_file_mappings", "pg_show_all_file_settings",
	"pg_cursor", "pg_prepared_statement", "pg_prepared_xact",
	"pg_logical_slot_peek_changes", "pg_logical_slot_get_changes",
	"pg_logical_slot_peek_binary_changes", "pg_logical_slot_get_binary_changes",
)

// runsText are built-in functions that run a text as a query in the session.
var runsText = set("query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "ts_stat", "ts_rewrite")

func set(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}
