-- What the load writes to and reads from.
CREATE TABLE ledger (
    mark text NOT NULL,
    n    integer NOT NULL
);
CREATE INDEX ON ledger (n);
CREATE TABLE pages (
    n    integer PRIMARY KEY,
    text text NOT NULL
);
INSERT INTO pages SELECT i, repeat('page ' || i || ' ', 10) FROM generate_series(1, 2000) AS i;
