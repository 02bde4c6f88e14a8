-- What the clients work on besides the shop: tables whose policies let them change things.
CREATE SCHEMA lab;
CREATE TABLE lab.items (
    id    integer PRIMARY KEY,
    name  text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price >= 0),
    added timestamptz
);
INSERT INTO lab.items SELECT i, 'item ' || i, i * 1.25, timestamptz '2026-01-01 00:00+00' + i * interval '1 hour'
FROM generate_series(1, 50) AS i;
-- All of these types have a binary form of their own.
CREATE TABLE lab.people (
    id     integer PRIMARY KEY,
    name   text NOT NULL,
    email  varchar(80),
    card   char(19),
    phone  text,
    born   date,
    salary numeric(12, 2),
    visits bigint,
    token  uuid,
    secret bytea,
    notes  jsonb,
    tags   text[],
    seen   timestamptz
);
INSERT INTO lab.people
SELECT i, 'Person ' || i, 'person' || i || '@mail.example', '5500 0000 0000 ' || lpad((2000 + i)::text, 4, '0'),
       '+33 1 ' || lpad((700000 + i)::text, 8, '0'), date '1970-02-03' + i, 31337.25 + i, 424242000 + i,
       ('0badcafe-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, decode('c0ffee' || lpad(i::text, 6, '0'), 'hex'),
       jsonb_build_object('email', 'person' || i || '@mail.example'), ARRAY['sensitive-tag-' || i], timestamptz '2025-05-05 05:05:05+00'
FROM generate_series(1, 20) AS i;
INSERT INTO lab.people (id, name) VALUES (21, 'Nobody');
