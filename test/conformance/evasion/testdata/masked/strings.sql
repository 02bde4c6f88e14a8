-- Functions of strings: computed values are masked as a whole, or refused.

-- case: case
SELECT lower(email), upper(email), initcap(email) FROM customers;
-- case: parts
SELECT left(email, 3), right(email, 3), substr(email, 2, 4), substring(email FROM 2), split_part(email, '@', 1) FROM customers;
-- case: reversed
SELECT reverse(email) FROM customers;
-- case: encoded
SELECT encode(convert_to(email, 'UTF8'), 'hex'), encode(email::bytea, 'base64') FROM customers;
-- case: encoded picture
SELECT encode(picture, 'base64'), encode(picture, 'escape') FROM customers;
-- case: digests
SELECT md5(email), sha256(email::bytea) FROM customers;
-- case: digests of pgcrypto
SELECT digest(email, 'sha1'), hmac(email, 'k', 'md5'), crypt(email, 'aa') FROM customers;
-- case: translated
SELECT translate(email, 'zq', 'QZ'), replace(email, 'zq', 'ZQ'), overlay(email PLACING 'x' FROM 1) FROM customers;
-- case: concatenated
SELECT concat(email, 'x'), concat_ws('-', name, email), email || '', 'x' || card FROM customers;
-- case: formatted
SELECT format('%s', email), format('%L', email), format('%I', email) FROM customers;
-- case: formatted by itself
SELECT format(email, 1) FROM customers;
-- case: quoted
SELECT quote_literal(email), quote_ident(email), quote_nullable(card) FROM customers;
-- case: padded
SELECT lpad(email, 60), rpad(email, 3) FROM customers;
-- case: padded by a masked length, which takes time
SELECT lpad('', salary) FROM customers;
-- case: repeated by a masked number
SELECT length(repeat('x', salary)) FROM customers;
-- case: lengths
SELECT length(email), octet_length(card), bit_length(email), char_length(email) FROM customers;
-- case: positions
SELECT position('j' IN email), strpos(email, 'jib'), starts_with(email, 'zqK') FROM customers;
-- case: one character at a time
SELECT ascii(substr(email, n.n, 1)) FROM customers c, notes n WHERE c.id = 1;
-- case: get_byte
SELECT get_byte(picture, 3), get_bit(picture, 3), set_byte(picture, 0, 1) FROM customers;
-- case: regular expressions
SELECT regexp_replace(email, '(.)', '\1-', 'g'), regexp_match(email, 'zq(.*)vault'), substring(email FROM 'zq(.*)v') FROM customers;
-- case: regular expressions that make rows
SELECT regexp_matches(email, '.', 'g') FROM customers;
-- case: rows of words
SELECT regexp_split_to_table(email, ''), string_to_table(card, '0') FROM customers;
-- case: arrays of letters
SELECT string_to_array(email, NULL), regexp_split_to_array(email, '') FROM customers;
-- case: a pattern out of a masked value
SELECT id, 'zqKwyjibo' ~ substr(email, 1, 4) FROM customers;
-- case: LIKE
SELECT id, email LIKE 'zqK%', email ILIKE '%JIB%', email SIMILAR TO 'zq%', email ~ 'K' FROM customers;
-- case: an escape at the end of the pattern is an error only if reached
SELECT email LIKE 'zqK\' FROM customers;
-- case: trigrams
SELECT show_trgm(email), similarity(email, 'zqKwyjibo'), email <-> 'x' FROM customers;
-- case: soundex and distance
SELECT soundex(email), levenshtein(email, 'zqK'), metaphone(email, 9) FROM customers;
-- case: unaccent
SELECT unaccent(email) FROM customers;
-- case: to_hex and to_char
SELECT to_hex(salary), to_char(salary, '999999999'), chr(65 + salary % 26) FROM customers;
-- case: to_number and to_date
SELECT to_number(card, '9999999999999999'), to_date(card, 'YYYY') FROM customers;
-- case: collations
SELECT email COLLATE "C", email < 'zqL' COLLATE "C" FROM customers;
-- case: normalized
SELECT normalize(email), email IS NORMALIZED FROM customers;
-- case: parse_ident fails on it
SELECT parse_ident(email) FROM customers;
-- case: trim
SELECT trim(email), btrim(email, 'zq'), ltrim(email, 'z'), rtrim(email, 't') FROM customers;
-- case: convert
SELECT convert_from(picture, 'UTF8'), convert(picture, 'UTF8', 'LATIN1') FROM customers;
-- case: unistr and to_ascii
SELECT to_ascii(email), unistr(email) FROM customers;
