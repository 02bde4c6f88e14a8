-- What config/tour is about.
CREATE TABLE orders (id integer PRIMARY KEY, status text NOT NULL, email text NOT NULL);
INSERT INTO orders SELECT i, 'open', 'customer' || i || '@example.com' FROM generate_series(1, 40) AS i;
CREATE ROLE doorward LOGIN PASSWORD 'replace-me';
GRANT SELECT, UPDATE ON orders TO doorward;
