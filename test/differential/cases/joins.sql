-- Joins of every form, and views: what meets what where rows of one table lie in several
-- databases, and where a side has no row, NULL for a key, or the same rows everywhere.

-- expect: equal
INSERT INTO countries (code, label, people) VALUES ('DE', 'Germany', 83), ('FR', 'France', 68), ('AT', 'Austria', 9)

-- expect: equal
INSERT INTO users (id, name, age, country, active, balance) VALUES (1, 'a', 30, 'DE', true, 1), (2, 'b', 1, 'FR', true, 2),
  (3, 'c', NULL, NULL, false, 3), (4, 'd', 4, 'AT', true, 4), (5, 'e', 7, 'DE', false, NULL), (6, 'f', 6, 'DE', true, 6)

-- expect: equal
INSERT INTO orders (user_id, id, placed, total, note) VALUES (1, 1, '2024-01-01', 10, 'x'), (1, 2, '2024-02-01', 5, NULL), (3, 3, NULL, 1, 'y'), (5, 5, NULL, 3, 'z')

-- A row without a partner in its own placement has none elsewhere.
-- expect: equal
SELECT u.id, o.id FROM users u FULL JOIN orders o ON o.user_id = u.id ORDER BY 1, 2

-- expect: equal
SELECT u.id, o.id FROM users u FULL JOIN orders o ON o.user_id = u.id AND o.total > 4 ORDER BY 1, 2

-- Unmatched orders of every placement are one group, whose key is NULL.
-- expect: equal
SELECT u.id, count(*) FROM users u FULL JOIN orders o ON o.user_id = u.id AND u.age > 5 GROUP BY u.id ORDER BY 1

-- expect: equal
SELECT u.id, o.user_id, count(*) FROM users u FULL JOIN orders o ON o.user_id = u.id AND u.age > 5 GROUP BY u.id, o.user_id ORDER BY 1, 2

-- expect: equal
SELECT DISTINCT u.id FROM users u FULL JOIN orders o ON o.user_id = u.id AND u.age > 5 ORDER BY 1

-- The merged column is either side's.
-- expect: equal
SELECT user_id, n, m FROM (SELECT user_id, count(*) AS n FROM orders WHERE total > 4 GROUP BY user_id) a FULL JOIN (SELECT id AS user_id, count(*) AS m FROM users WHERE age < 10 GROUP BY id) b USING (user_id) ORDER BY 1

-- expect: equal
SELECT user_id, n, m FROM (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) a FULL JOIN (SELECT id AS user_id, age AS m FROM users) b USING (user_id) WHERE user_id = 5

-- A bound on one side inside the join says nothing of the other side's rows.
-- expect: equal
SELECT u.id, o.id FROM (users u JOIN countries c ON c.code = u.country AND u.id = 1) FULL JOIN orders o ON o.user_id = u.id ORDER BY 1, 2

-- expect: equal
SELECT user_id, count(*) FROM (users a LEFT JOIN orders d ON d.user_id = a.id) FULL JOIN (SELECT user_id, id AS other FROM orders) b USING (user_id) GROUP BY user_id ORDER BY 1

-- A reference table on the side that is kept has its rows once.
-- expect: equal
SELECT c.code, u.id FROM countries c LEFT JOIN users u ON u.country = c.code AND u.active ORDER BY 1, 2

-- expect: equal
SELECT c.code, count(u.id) FROM users u RIGHT JOIN countries c ON u.country = c.code AND u.age > 100 GROUP BY c.code ORDER BY 1

-- expect: equal
SELECT c.code, u.id FROM countries c FULL JOIN users u ON u.country = c.code ORDER BY 1, 2

-- expect: equal
SELECT c.code, u.id FROM countries c CROSS JOIN users u WHERE u.id < 3 ORDER BY 1, 2

-- Without a match, whatever NULLs there are.
-- expect: equal
SELECT id FROM users WHERE id NOT IN (SELECT user_id FROM orders) ORDER BY id

-- expect: equal
SELECT id FROM users WHERE age NOT IN (SELECT id FROM orders) ORDER BY id

-- expect: equal
SELECT id FROM users WHERE id NOT IN (SELECT age FROM users) ORDER BY id

-- expect: equal
SELECT id, id IN (SELECT user_id FROM orders WHERE total > 100) OR age > 5 FROM users ORDER BY id

-- expect: equal
SELECT id FROM users u WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.total > 4) ORDER BY id

-- expect: equal
SELECT u.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.user_id IS NULL ORDER BY 1

-- expect: equal
SELECT u.id, l.total FROM users u LEFT JOIN LATERAL (SELECT total FROM orders o WHERE o.user_id = u.id ORDER BY total DESC LIMIT 1) l ON true ORDER BY 1

-- A table with itself.
-- expect: equal
SELECT a.id, b.id FROM orders a JOIN orders b USING (user_id) WHERE a.id < b.id ORDER BY 1, 2

-- expect: equal or refused
SELECT a.id, b.id FROM users a JOIN users b ON a.age = b.id ORDER BY 1, 2

-- Views.
-- expect: equal
SELECT * FROM active_users ORDER BY id

-- expect: equal
SELECT v.name FROM active_users v WHERE v.id = 2

-- expect: equal
SELECT u.id, t.orders FROM users u FULL JOIN order_totals t ON t.user_id = u.id ORDER BY 1

-- expect: equal
SELECT count(*), sum(orders) FROM order_totals

-- expect: equal
SELECT id FROM users WHERE id IN (SELECT user_id FROM order_totals WHERE orders > 1)

-- expect: refused view_written
UPDATE active_users SET name = 'x' WHERE id = 1
