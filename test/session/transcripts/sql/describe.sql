\describe SELECT id, name, balance FROM accounts
\describe SELECT id, name FROM accounts WHERE id = $1 AND balance > $2
\describe SELECT count(*), sum(balance), avg(balance), max(name) FROM accounts
\describe SELECT * FROM things
\describe UPDATE accounts SET balance = $1 WHERE id = $2
\describe UPDATE accounts SET balance = $1 WHERE id = $2 RETURNING *, balance / 2.0 AS half
\describe INSERT INTO things (id, number, day, words) VALUES ($1, $2, $3, $4)
\describe DELETE FROM accounts WHERE name LIKE $1 RETURNING name
\describe SELECT $1
\describe SELECT $1 + 1, $2 || 'x', $3::date, $4 = ANY ($5::int[])
\describe VALUES (1, 'a', NULL), (2, 'b', 3.5)
\describe TABLE countries
\describe SHOW search_path
\describe EXPLAIN SELECT 1
\describe BEGIN
\describe SET work_mem = '1MB'
\describe CREATE TABLE x (id int)
\describe SELECT nothing FROM accounts
\describe SELECT * FROM nowhere
\describe SELEC
\describe SELECT 1; SELECT 2
\describe
\describe SELECT 1 WHERE $1
\describe SELECT * FROM accounts WHERE id = $1::text
\describe SELECT * FROM accounts WHERE id IN ($1, $2, $3)
\describe SELECT a.id, e.note FROM accounts a JOIN entries e ON e.account = a.id WHERE a.id = $1
\describe WITH w AS (SELECT id FROM accounts) SELECT w.id, w.id::text FROM w
\describe SELECT id, row_number() OVER (ORDER BY name) FROM accounts
\describe SELECT array_agg(name ORDER BY id), json_agg(balance) FROM accounts
\describe SELECT now(), current_user, version() IS NOT NULL, pg_backend_pid() > 0
\describe MERGE INTO accounts USING (VALUES (1)) v (id) ON accounts.id = v.id WHEN MATCHED THEN DELETE
\describe DECLARE c CURSOR FOR SELECT id FROM accounts
\describe COPY accounts TO STDOUT
\describe PREPARE p AS SELECT 1
\describe SELECT numeric(10,2) '1', varchar(5) 'a', char(3) 'b', interval day to second '1'
\describe SELECT (SELECT max(balance) FROM accounts) AS top, EXISTS (SELECT 1 FROM entries) AS any
BEGIN;
SELECT 1 / 0;
\describe SELECT 1
\describe ROLLBACK
ROLLBACK;
