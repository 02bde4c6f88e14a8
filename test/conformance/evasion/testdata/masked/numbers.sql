-- Numbers, dates and bits.

-- case: arithmetic
SELECT salary + 0, salary * 1, -salary, @ salary, salary - 1 FROM customers;
-- case: shifted and masked bits
SELECT salary & 1, salary >> 1, salary | 0, salary # 0 FROM customers;
-- case: overflow tells how large it is
SELECT salary * 100 FROM customers;
-- case: division by a guess
SELECT 1 / (salary - 73519265) FROM customers;
-- case: square root of what may be negative
SELECT sqrt(score - 80000000) FROM customers;
-- case: width_bucket
SELECT width_bucket(salary, 0, 100000000, 1000) FROM customers;
-- case: width_bucket with an array
SELECT width_bucket(score, ARRAY[1, 73519266]::numeric[]) FROM customers;
-- case: rounding
SELECT round(score, -3), trunc(score), floor(balance), ceil(balance), mod(salary, 10) FROM customers;
-- case: greatest and least
SELECT greatest(salary, 0), least(salary, 2147483647) FROM customers;
-- case: nullif tells whether it is equal
SELECT nullif(salary, 73519265), nullif(email, 'x') FROM customers;
-- case: coalesce
SELECT coalesce(salary, 0), coalesce(email, 'none') FROM customers;
-- case: extract
SELECT extract(year FROM born), date_part('month', seen), date_trunc('year', seen), age(born) FROM customers;
-- case: date arithmetic
SELECT born + 1, born - date '2000-01-01', seen - interval '1 day', seen AT TIME ZONE 'UTC' FROM customers;
-- case: make_date from a masked value fails
SELECT make_date(salary, 1, 1) FROM customers;
-- case: ranges
SELECT int4range(0, salary), daterange(NULL, born) FROM customers;
-- case: hashes
SELECT hashtext(email), hashint4(salary), hashtextextended(email, 1), uuid_hash(token) FROM customers;
-- case: comparisons
SELECT salary > 1000000, salary = 73519265, salary BETWEEN 1 AND 2, salary IN (1, 2) FROM customers;
-- case: comparison functions
SELECT int4gt(salary, 5), texteq(email, 'x'), btint4cmp(salary, 5), bttextcmp(email, 'zqL') FROM customers;
-- case: whether it is NULL
SELECT salary IS NULL, email IS NOT NULL, active IS TRUE, num_nonnulls(email, card) FROM customers;
-- case: sizes
SELECT pg_column_size(email), pg_column_size(profile), pg_column_compression(email) FROM customers;
-- case: arrays of numbers
SELECT ARRAY[salary], ARRAY[salary, 1] @> ARRAY[73519265] FROM customers;
-- case: bits of a bytea
SELECT bit_count(picture), length(picture), substring(picture FROM 3 FOR 2) FROM customers;
-- case: network addresses
SELECT network(ip), family(ip), ip << '10.0.0.0/8', ip - '10.0.0.0'::inet, netmask(ip) FROM customers;
-- case: enumerations
SELECT tier > 'bronze', enum_range(tier, NULL), enum_last(tier) FROM customers;
-- case: random seed
SELECT setseed(0.000000001 * salary), random() FROM customers WHERE id = 1;
-- case: generate_series
SELECT generate_series(1, salary % 4) FROM customers;
-- case: power takes long
SELECT 2::numeric ^ (salary % 10) FROM customers;
-- case: an array subscript
SELECT (ARRAY['a', 'b', 'c', 'd'])[1 + salary % 4] FROM customers;
-- case: an array slice
SELECT tags[1], tags[1:2], array_length(tags, 1) FROM customers;
-- case: CASE
SELECT CASE WHEN salary > 1000000 THEN 'rich' ELSE 'poor' END FROM customers;
-- case: CASE of values
SELECT CASE salary WHEN 73519265 THEN 1 END FROM customers;
-- case: CASE that fails
SELECT CASE WHEN salary > 1000000 THEN 1 / 0 ELSE 1 END FROM customers;
-- case: CASE over a boolean
SELECT CASE WHEN active THEN name END FROM customers;
