-- JSON, JSONB and XML.

-- case: row_to_json
SELECT row_to_json(c) FROM customers c;
-- case: row_to_json of a subquery
SELECT row_to_json(x) FROM (SELECT id, email FROM customers) x;
-- case: to_json and to_jsonb
SELECT to_json(email), to_jsonb(c) FROM customers c;
-- case: to_jsonb of a row, a field of it
SELECT to_jsonb(c) -> 'email', to_jsonb(c) ->> 'name' FROM customers c;
-- case: by function notation of the row
SELECT c.to_json, c.to_jsonb, c.row_to_json FROM customers c;
-- case: built
SELECT json_build_object('e', email), jsonb_build_array(email, card) FROM customers;
-- case: a key that is masked, which fails for NULL
SELECT json_build_object(email, 1), jsonb_build_object(card, 1) FROM customers;
-- case: json_object
SELECT json_object(ARRAY['e', email]), json_object(tags) FROM customers;
-- case: aggregated
SELECT json_agg(email), jsonb_agg(c), json_object_agg(id, email) FROM customers c;
-- case: keys out of a masked column in an aggregate
SELECT jsonb_object_agg(coalesce(email, 'x'), id) FROM customers;
-- case: a field of a masked column
SELECT profile -> 'k', profile ->> 'k', profile #>> '{k}', profile['k'], raw ->> 'k' FROM customers;
-- case: a path
SELECT jsonb_path_query(profile, '$.k'), jsonb_path_query_first(profile, '$.n'), profile @? '$.n ? (@ > 1000000)' FROM customers;
-- case: a path that fails
SELECT jsonb_path_query(profile, 'strict $.k.x') FROM customers;
-- case: a path over an unmasked document, with masked variables
SELECT jsonb_path_exists('{"a": 1}', '$ ? (@.a < $n)', profile) FROM customers;
-- case: rows of a document
SELECT * FROM customers c, jsonb_each(c.profile);
-- case: rows of a whole row
SELECT c.id, e.key, e.value FROM customers c, json_each_text(row_to_json(c)) e;
-- case: keys of a document
SELECT jsonb_object_keys(profile) FROM customers;
-- case: a record out of a document
SELECT x.* FROM customers c, jsonb_to_record(c.profile) AS x (k text, n int);
-- case: a record set
SELECT x.* FROM json_to_recordset((SELECT json_agg(c) FROM customers c)) AS x (id int, email text);
-- case: containment
SELECT id FROM customers WHERE profile @> '{"n": 73519265}';
-- case: existence of a key
SELECT profile ? 'k', profile ?| ARRAY['n'] FROM customers;
-- case: set, deleted, pretty
SELECT jsonb_set(profile, '{x}', '1'), profile - 'n', jsonb_pretty(profile), jsonb_strip_nulls(profile) FROM customers;
-- case: a document that is not unique
SELECT json_typeof(raw), jsonb_typeof(profile) FROM customers;
-- case: xmlelement and xmlforest
SELECT xmlelement(NAME x, email), xmlforest(email, card), xmlconcat(doc) FROM customers;
-- case: xmlattributes
SELECT xmlelement(NAME x, xmlattributes(email AS e)) FROM customers;
-- case: xpath
SELECT xpath('//a/text()', doc), xpath_exists('//a', doc) FROM customers;
-- case: xmlagg
SELECT xmlagg(xmlelement(NAME e, email)) FROM customers;
-- case: xmlparse fails
SELECT xmlparse(DOCUMENT email) FROM customers;
-- case: xmlserialize
SELECT xmlserialize(CONTENT doc AS text) FROM customers;
-- case: XMLTABLE
SELECT x.* FROM customers c, XMLTABLE('/a' PASSING c.doc COLUMNS v text PATH '.') x;
-- case: xmlcomment and xmlpi
SELECT xmlcomment(email), xmlpi(NAME php, email) FROM customers;
-- case: query_to_xml
SELECT query_to_xml('SELECT email FROM customers', true, false, '');
-- case: table_to_xml, schema_to_xml, database_to_xml
SELECT table_to_xml('customers', true, false, '');
-- case: schema_to_xml
SELECT schema_to_xml('public', true, false, '');
-- case: database_to_xml
SELECT database_to_xml(true, false, '');
-- case: cursor_to_xml
BEGIN;
DECLARE c CURSOR FOR SELECT id, email FROM customers;
SELECT cursor_to_xml('c', 5, true, false, '');
-- case: xml2's functions that read tables by name
SELECT * FROM xpath_table('id', 'doc', 'customers', '/a', 'true') AS t (id int, a text);
-- case: JSON constructors of the standard
SELECT JSON_OBJECT('e' VALUE email), JSON_ARRAY(email) FROM customers;
-- case: IS JSON
SELECT email IS JSON FROM customers;
-- case: JSON_TABLE
SELECT t.* FROM customers c, JSON_TABLE(c.profile, '$' COLUMNS (k text PATH '$.k')) t;
