// Copyright The Doorward Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "time"

// story is the demo: what a person types, and what must come of it.
var story = []step{
	{
		title:   "Nobody gets in without a token",
		command: `PGPASSWORD=guess psql -w "$PSQL_SHOP" -c 'SELECT 1'`,
		exit:    2,
		expect:  []string{`FATAL:`, `token`},
	},
	{
		title:   "Alice is an analyst: the issuer gives her a token, and psql takes it as the password",
		command: `export PGPASSWORD=$(bin/playground token alice --groups analysts); psql -w "$PSQL_SHOP" -c 'SELECT id, customer_id, amount, status FROM orders ORDER BY id LIMIT 3'`,
		expect:  []string{`\(3 rows\)`},
	},
	{
		title:   "Cards, e-mail addresses and phone numbers are masked",
		command: `psql -w "$PSQL_SHOP" -c 'SELECT * FROM customers ORDER BY id LIMIT 3'`,
		as:      "alice analysts",
		expect:  []string{`\[masked\]`, `\*1001`},
		refuse:  []string{`@example\.com`, `4111`, `\+49`},
	},
	{
		title:   "... also when she tries to get round it",
		command: `psql -w "$PSQL_SHOP" -c "SELECT substr(email, 1, 9) FROM customers" -c "SELECT row_to_json(c) FROM customers c" -c "COPY (SELECT id, email FROM customers WHERE id < 3) TO STDOUT" -c "SELECT count(*) FROM customers WHERE email LIKE 'g%'"`,
		as:      "alice analysts",
		exit:    1,
		expect:  []string{`(?s)ERROR:.*ERROR:.*1\t\[masked\].*ERROR:`},
		refuse:  []string{`@example`, `4111`, `customer1`},
	},
	{
		title:   "A table that no policy names stays closed",
		command: `psql -w "$PSQL_SHOP" -c 'SELECT * FROM payroll'`,
		as:      "alice analysts",
		exit:    1,
		expect:  []string{`ERROR:  `, `public\.payroll`, `HINT:`},
	},
	{
		title:   "DROP is refused with its reason, and the session goes on",
		command: `psql -w "$PSQL_SHOP" -c 'DROP TABLE orders' -c 'SELECT count(*) FROM orders'`,
		as:      "alice analysts",
		expect:  []string{`schema changes go through migrations`, `no-schema-changes`, `200`},
	},
	{
		title:   "Carol writes the policies of this namespace and allows herself everything; what the cluster forbids stays forbidden",
		command: `export KUBECONFIG=$KUBECONFIG_CAROL; kubectl apply -f hack/playground/carol.yaml && kubectl wait --for=condition=Ready accesspolicy/carol && psql -w "$PSQL_SHOP" -c 'SELECT count(*) FROM payroll' -c 'DROP TABLE payroll'`,
		as:      "carol shop-admins",
		exit:    1,
		expect:  []string{`condition met`, `production is changed by releases`, `of ClusterAccessPolicy "production"`},
		refuse:  []string{`DROP TABLE\n`},
	},
	{
		title:   "... nor may she change what the cluster forbids, and she is told who says so",
		command: `kubectl --kubeconfig "$KUBECONFIG_CAROL" delete clusteraccesspolicy production; kubectl doorward policy explain -n shop -c shop-db --as carol --group shop-admins 'drop public.payroll'`,
		exit:    1,
		expect:  []string{`[Ff]orbidden`, `no-destruction`},
	},
	{
		title:   "An UPDATE is held until somebody else approves exactly this statement",
		command: `psql -w "$PSQL_SHOP" -c "UPDATE orders SET status = 'refunded' WHERE id = 7 RETURNING id, status"`,
		as:      "alice analysts",
		hold: &hold{
			by:     "bob dba",
			expect: []string{`patched`},
		},
		expect: []string{`NOTICE:`, `7 \| refunded`, `UPDATE 1`},
	},
	{
		title:   "Alice cannot approve her own, even as a member of the approvers' group",
		command: `psql -w "$PSQL_SHOP" -c "UPDATE orders SET status = 'refunded' WHERE id = 8"`,
		as:      "alice analysts",
		hold: &hold{
			by:     "alice analysts,dba",
			exit:   1,
			expect: []string{`requester`},
			cancel: true,
		},
		exit:   1,
		expect: []string{`NOTICE:`, `ERROR:`},
		refuse: []string{`UPDATE 1`},
	},
	{
		title:   "What happened, as objects",
		command: `kubectl --kubeconfig "$KUBECONFIG_BOB" -n shop get auditsessions; kubectl --kubeconfig "$KUBECONFIG_BOB" -n shop get approvalrequests`,
		await:   `Void`,
		expect:  []string{`alice`, `Ended`, `Used`},
	},
	{
		title:   "The records, under the true actor, from the file sink",
		command: `bin/playground records --last 8`,
		await:   `OperationHeld`,
		expect:  []string{`alice`, `OperationDecided`, `OperationHeld`, `RequireApproval`},
	},
	{
		title:   "A policy in mode Audit has decided nothing: what it would have refused is counted, and on record",
		command: `kubectl -n shop get accesspolicy customers-later -o jsonpath='{.spec.mode}: {.status.audit}{"\n"}'; kubectl doorward audit show --actor alice --type OperationDecided "$PLAYGROUND/records" | grep -m 2 'would be'`,
		await:   `wouldDeny`,
		expect:  []string{`"wouldDeny":[1-9]`, `would be: Deny by customers-later/closed`},
	},
	{
		title:   "Who has no token logs in at the manager's portal: a code in the terminal, a browser anywhere",
		command: `kubectl doorward login --portal "$PORTAL" --ca-file "$PLAYGROUND/ca.crt" --device`,
		hold: &hold{
			by:     "alice analysts",
			at:     `Or visit (https://\S+) and compare`,
			do:     `bin/playground browser alice --groups analysts --visit '{}'`,
			expect: []string{`You are logged in`},
		},
		expect: []string{`as alice, until `},
	},
	{
		title:   "From then on the plugin says what she can reach, and connects her; she types no password",
		command: `export KUBECONFIG=$KUBECONFIG_ALICE; kubectl doorward policy can-i -c shop-db --proxy "$REVIEW" && kubectl doorward connect shop-db -- -c 'SELECT card FROM customers WHERE id = 1'`,
		expect:  []string{`RequireApproval +insert,update,delete +public\.orders`, `\*1001`},
		refuse:  []string{`4111`},
	},
	{
		title:   "The same login takes her to a server by SSH: OpenSSH's client, a certificate that it gets from the portal, one command",
		command: `export KUBECONFIG=$KUBECONFIG_ALICE; kubectl doorward connect shop-host -- 'uptime && ls -a | wc -l' && kubectl doorward credentials`,
		expect:  []string{`load average`, `alice +company +SSHCertificate +Good`},
	},
	{
		title:   "Each command of a line is decided, before any of it runs",
		command: `export KUBECONFIG=$KUBECONFIG_ALICE; kubectl doorward connect shop-host -- "uptime; sh -c 'ls && reboot'"`,
		exit:    126,
		expect:  []string{`hosts are restarted by whoever is on call`, `no-restarts`},
		refuse:  []string{`load average`},
	},
	{
		title:   "The server's own log shows Alice, not only the shared account",
		command: `grep -m 2 -o 'Accepted publickey for .* ID user=alice[^(]*' "$SSHD_LOG"`,
		expect:  []string{`user=alice provider=company session=shop/`},
	},
	{
		title:   "Bob is on call and has a shell, with a terminal that is recorded",
		command: `export KUBECONFIG=$KUBECONFIG_BOB XDG_CONFIG_HOME=$PLAYGROUND/bob; kubectl doorward login --token-command "$PWD/bin/playground token bob --groups dba" && printf 'echo on call: $((6*7))\nexit\n' | kubectl doorward connect shop-host -- -tt`,
		expect:  []string{`on call: 42`},
	},
	{
		title:   "... so that Carol sees what he saw: on her terminal, the replay draws his",
		command: `export KUBECONFIG=$KUBECONFIG_CAROL; session=$(kubectl doorward sessions --actor bob -c shop-host -o name); script -qec "kubectl doorward replay ${session##*/} --manager $RECORDINGS" /dev/null`,
		await:   `What was decided is in the transcript`,
		expect:  []string{`are as the log's key signed them`, `on call: 42`},
	},
	{
		title:   "She has pasted her token into a chat, and ends the credential: whoever is connected by it is cut off within a second",
		command: `env KUBECONFIG="$KUBECONFIG_ALICE" kubectl doorward connect shop-db -- -A -t -f hack/playground/watch.sql`,
		exit:    2,
		hold: &hold{
			by:     "alice analysts",
			at:     `(?m)^(200)$`,
			do:     `kubectl doorward credentials && kubectl doorward credentials revoke $(kubectl doorward credentials -o jsonpath='{.items[0].metadata.name}') --reason 'pasted into a chat'`,
			expect: []string{`alice +company +Token +Good`, `revoked \(alice\)`},
			within: time.Second,
		},
		expect: []string{`was revoked: pasted into a chat`},
	},
	{
		title:   "At night nobody is there to approve. Bob, on call, breaks the glass, which the policy lets him",
		command: `kubectl doorward request shop-db --kubeconfig "$KUBECONFIG_BOB" --rule on-call/repair --for 5m --break-glass --reason 'INC-4712: checkout is down' --wait`,
		expect:  []string{`goes ahead without approvals`, `has to be reviewed`},
	},
	{
		title:   "He goes ahead alone, and everybody sees it",
		command: `export KUBECONFIG=$KUBECONFIG_BOB; psql -w "$PSQL_SHOP" -c "UPDATE orders SET status = 'paid' WHERE id = 8" && kubectl doorward requests --unreviewed && kubectl get events --field-selector reason=BreakGlass`,
		as:      "bob dba",
		await:   `UPDATE 1`,
		expect:  []string{`INC-4712`, `Warning +BreakGlass +connection/shop-db`},
	},
	{
		title:   "Carol may read recordings: the manager gives her the session that was ended, and proves it by the log's signature",
		command: `export KUBECONFIG=$KUBECONFIG_CAROL; session=$(kubectl doorward sessions --actor alice -o wide | awk '/was revoked/ { print $1 }'); kubectl doorward replay "$session" --manager "$RECORDINGS"`,
		await:   `session ends`,
		expect:  []string{`are as the log's key signed them`, `SELECT count\(\*\) FROM orders`, `pasted into a chat`},
	},
	{
		title:   "... and that she read it is on record",
		command: `kubectl doorward audit show --type RecordingRead "$PLAYGROUND/records"`,
		await:   `carol`,
		expect:  []string{`RecordingRead`, `carol`},
	},
	{
		title:   "The log is whole: every record is held against what the witness, the manager, has signed",
		command: `kubectl doorward audit verify --witness -n shop "$PLAYGROUND/records"`,
		await:   `agrees with the trusted checkpoint`,
		expect:  []string{`: OK`, `agrees with the trusted checkpoint`},
	},
	{
		title:   "Whoever edits a record is found out, and the record is named",
		command: `cp -r "$PLAYGROUND/records" "$PLAYGROUND/edited" && sed -i '0,/id = 7/s//id = 9/' "$PLAYGROUND"/edited/*.jsonl && kubectl doorward audit verify --witness -n shop "$PLAYGROUND/edited"`,
		exit:    1,
		expect:  []string{`record \d+ .*changed|edited`},
	},
	{
		title:   "... and whoever cuts off the end",
		command: `mkdir "$PLAYGROUND/cut" && for f in "$PLAYGROUND"/records/*.jsonl; do head -n -20 "$f" > "$PLAYGROUND/cut/${f##*/}"; done; kubectl doorward audit verify --witness -n shop "$PLAYGROUND/cut"`,
		exit:    1,
		expect:  []string{`truncated|missing`},
	},
	{
		title:   "The target's own log shows Alice too, not the shared account",
		command: `grep -m 3 -o 'app=doorward:alice[^ ]* .*orders.*' "$PLAYGROUND/postgres.log"`,
		expect:  []string{`doorward:alice`},
	},
	{
		title:   "The target's password appears nowhere: not in records, logs, objects or errors",
		command: `! grep -rlF "$(cat "$PLAYGROUND/canary")" "$PLAYGROUND/proxies" "$PLAYGROUND/records" "$PLAYGROUND/logs" && ! kubectl get connections,accesspolicies,approvalrequests,auditsessions,events,configmaps -A -o yaml | grep -F "$(cat "$PLAYGROUND/canary")" && echo 'found nowhere'`,
		expect:  []string{`found nowhere`},
	},
}
