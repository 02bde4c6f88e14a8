-- A small shop: what the playground, the demo and the suites work on.
CREATE TABLE customers (
    id    integer PRIMARY KEY,
    name  text NOT NULL,
    email text NOT NULL UNIQUE,
    card  text NOT NULL,
    phone text NOT NULL
);
INSERT INTO customers
SELECT i,
       (ARRAY['Ada', 'Grace', 'Edsger', 'Barbara', 'Alan', 'Frances', 'Niklaus', 'Radia'])[1 + i % 8] || ' ' || chr(65 + i % 26) || '.',
       'customer' || i || '@example.com',
       '4111 1111 1111 ' || lpad((1000 + i)::text, 4, '0'),
       '+49 30 ' || lpad((900000 + i)::text, 7, '0')
FROM generate_series(1, 40) AS i;

CREATE TABLE orders (
    id          integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers (id),
    amount      numeric(10, 2) NOT NULL,
    status      text NOT NULL DEFAULT 'paid',
    created_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO orders (id, customer_id, amount)
SELECT i, 1 + i % 40, (i * 7919 % 50000) / 100.0
FROM generate_series(1, 200) AS i;

CREATE TABLE payroll (
    employee text PRIMARY KEY,
    salary   integer NOT NULL
);
INSERT INTO payroll VALUES ('the founder', 1), ('the accountant', 250000);
