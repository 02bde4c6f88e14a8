-- What config/samples is about: the shop of the samples' Connection and policy.
CREATE TABLE customers (
    id     integer PRIMARY KEY,
    name   text NOT NULL,
    email  text NOT NULL,
    card   text NOT NULL,
    tax_id text NOT NULL
);
INSERT INTO customers
SELECT i, 'Customer ' || i, 'customer' || i || '@example.com', '4111 1111 1111 ' || lpad((1000 + i)::text, 4, '0'), 'DE' || (100000000 + i)
FROM generate_series(1, 40) AS i;

CREATE TABLE orders (
    id          integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers (id),
    amount      numeric(10, 2) NOT NULL,
    status      text NOT NULL DEFAULT 'open'
);
INSERT INTO orders (id, customer_id, amount) SELECT i, 1 + i % 40, (i * 7919 % 50000) / 100.0 FROM generate_series(1, 200) AS i;

CREATE TABLE payroll (employee text PRIMARY KEY, salary integer NOT NULL);
INSERT INTO payroll VALUES ('the founder', 1), ('the accountant', 250000);

CREATE ROLE shop_analyst;
GRANT SELECT ON customers, orders, payroll TO shop_analyst;
GRANT UPDATE ON orders TO shop_analyst;
