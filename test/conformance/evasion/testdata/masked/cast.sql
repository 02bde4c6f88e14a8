-- Casts.

-- case: to its own type
SELECT email::text FROM customers;
-- case: to another string type
SELECT email::varchar, CAST(card AS name) FROM customers;
-- case: cut by a cast
SELECT email::varchar(4) FROM customers;
-- case: to "char"
SELECT email::"char" FROM customers;
-- case: to bytea
SELECT email::bytea FROM customers;
-- case: by function notation
SELECT text(email) FROM customers;
-- case: by type 'string' notation
SELECT varchar 'x', email::bpchar FROM customers;
-- case: an error tells the value
SELECT email::int FROM customers;
-- case: an error tells the value, for each type
SELECT email::date FROM customers;
-- case: of a constant, in an error's place
SELECT CAST(card AS uuid) FROM customers;
-- case: to json, which fails
SELECT email::json FROM customers;
-- case: to regclass, which tells the name
SELECT email::regclass FROM customers;
-- case: to an enumeration, which tells the value
SELECT card::grade FROM customers;
-- case: to a domain whose check fails
SELECT card::address FROM customers;
-- case: number to text
SELECT salary::text FROM customers;
-- case: number to a smaller one
SELECT salary::smallint FROM customers;
-- case: numeric to int
SELECT score::int, balance::int FROM customers;
-- case: money
SELECT score::money FROM customers;
-- case: date to text
SELECT born::text, seen::date, to_char(born, 'YYYY') FROM customers;
-- case: uuid to text
SELECT token::text FROM customers;
-- case: jsonb to text and back
SELECT profile::text::jsonb ->> 'k' FROM customers;
-- case: text[] to text
SELECT tags::text FROM customers;
-- case: enumeration to text
SELECT tier::text, tier::text::grade FROM customers;
-- case: bit strings
SELECT salary::bit(32) FROM customers;
-- case: a user's cast
SELECT ROW('x', 1)::pair::money;
-- case: a domain that asks
SELECT 'zqK%'::prober;
-- case: a domain that asks, by a parameter's type
PREPARE p (prober) AS SELECT $1;
EXECUTE p ('zqK%');
-- case: inet
SELECT host(ip), text(ip), ip::text FROM customers;
-- case: xml to text
SELECT doc::text FROM customers;
-- case: tsvector
SELECT email::tsvector FROM customers;
-- case: citext to text
SELECT code::text FROM customers;
-- case: a boolean to int
SELECT active::int FROM customers;
-- case: an output function
SELECT textout(email), int4out(salary) FROM customers;
-- case: an input function
SELECT int4in(textout(email)) FROM customers;
-- case: a send function
SELECT textsend(email), int4send(salary) FROM customers;
