-- What an application of the sample might send: `colonnade analyze` plans it.

-- A user's own pages.
SELECT * FROM users WHERE id = $1;
SELECT theme, newsletter FROM user_preferences WHERE user_id = $1;
SELECT id, status, total FROM orders WHERE user_id = $1 ORDER BY placed_at DESC LIMIT 20;
SELECT u.name, c.name FROM users u JOIN countries c ON c.code = u.country WHERE u.id = $1;

-- An order.
BEGIN;
INSERT INTO orders (user_id, total) VALUES ($1, $2);
UPDATE user_preferences SET newsletter = true WHERE user_id = $1;
COMMIT;

-- The back office.
SELECT status, count(*), sum(total) FROM orders GROUP BY status;
SELECT u.name, sum(o.total) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.id, u.name ORDER BY 2 DESC LIMIT 10;
SELECT * FROM users WHERE id IN ($1, $2, $3);
SELECT i.amount, u.name FROM invoices i JOIN users u ON u.id = i.user_id WHERE i.id = $1;
SELECT d.title FROM documents d JOIN users u ON u.name = d.title;
