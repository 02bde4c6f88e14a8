SELECT count(*) FROM orders \watch 0.2
