-- Statements that a careless proxy answers wrongly. Each case: a comment that says why,
-- then what is expected, then one simple query. Cases are parted by an empty line.

-- Rows the other cases look at.
-- expect: equal
INSERT INTO countries (code, label, people) VALUES ('DE', 'Germany', 83), ('FR', 'France', 68), ('AT', 'Austria', 9), ('XX', 'nowhere', NULL)

-- expect: equal
INSERT INTO users (id, name, email, age, mood, country, active, balance, score)
VALUES (1, 'zebra', 'a@x', 30, 'sad', 'DE', true, 1.10, 0.25), (2, 'Äpfel', 'B@x', NULL, 'happy', 'FR', false, 2.20, 0.5),
  (3, 'apple', 'c@x', 5, NULL, NULL, true, NULL, -1), (4, 'Zebra', NULL, 0, 'ok', 'AT', true, -3, NULL),
  (-5, NULL, 'e@x', 30, 'meh', 'DE', true, 0, 1024), (9007199254740993, 'beyond', 'big@x', 1, 'Über', 'DE', false, 7, 7)

-- expect: equal
INSERT INTO orders (user_id, id, placed, total, note) VALUES (1, 1, '2024-01-01', 10, 'x'), (1, 2, '2024-02-01', 5.5, NULL), (2, 1, '2023-01-01', 1, 'y'), (9007199254740993, 1, NULL, 3, 'z')

-- 2^53 + 1 is not 2^53: a number read as a double would find another row.
-- expect: equal
SELECT name FROM users WHERE id = 9007199254740993

-- expect: equal
SELECT name FROM users WHERE id = 9007199254740992

-- A string literal takes the key's type.
-- expect: equal
SELECT name FROM users WHERE id = '2'

-- expect: equal
SELECT name FROM users WHERE id = ' 2 '

-- A numeric comparison: 2.0 finds the row, 2.5 none.
-- expect: equal
SELECT name FROM users WHERE id = 2.0

-- expect: equal
SELECT name FROM users WHERE id = 2.5

-- The unary minus belongs to the key.
-- expect: equal
SELECT age FROM users WHERE id = - 5

-- OR does not pin.
-- expect: equal
SELECT id FROM users WHERE id = 1 OR name = 'apple'

-- NOT does not pin either.
-- expect: equal
SELECT id FROM users WHERE NOT (id = 1)

-- An equality in the select list pins nothing.
-- expect: equal
SELECT id = 1, name FROM users

-- Nor does one in a CASE or a FILTER.
-- expect: equal
SELECT count(*) FILTER (WHERE id = 1), count(*) FROM users

-- expect: equal
SELECT id FROM users WHERE CASE WHEN id = 1 THEN false ELSE true END

-- expect: equal
SELECT id FROM users WHERE (id = 1) IS FALSE

-- expect: equal
SELECT id FROM users WHERE id = NULL

-- expect: equal
SELECT id FROM users WHERE id IS NULL

-- Two equalities that no row can meet.
-- expect: equal
SELECT id FROM users WHERE id = 1 AND id = 2

-- expect: equal
SELECT id FROM users WHERE id IN (1, 2, 3) AND id = 2

-- expect: equal
SELECT id FROM users WHERE id IN (1, NULL, 3)

-- expect: equal or refused
SELECT id FROM users WHERE id NOT IN (1, 2)

-- The ON of an outer join does not filter its preserved side.
-- expect: equal
SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id AND u.id = 1

-- expect: equal
SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.user_id = 1

-- A reference table on the preserved side repeats its rows on every placement.
-- expect: equal or refused
SELECT c.code, u.id FROM countries c LEFT JOIN users u ON u.country = c.code

-- expect: equal or refused
SELECT c.code, u.id FROM users u RIGHT JOIN countries c ON u.country = c.code

-- expect: equal or refused
SELECT c.code, u.id FROM users u FULL JOIN countries c ON u.country = c.code

-- A reference table in the FROM of a subquery is whole on every placement.
-- expect: equal or refused
SELECT id, (SELECT label FROM countries WHERE code = users.country) FROM users

-- expect: equal
SELECT count(*), sum(age), avg(age), min(age), max(age) FROM users

-- The average of averages is not the average.
-- expect: equal
SELECT avg(balance), avg(score), sum(balance), sum(score) FROM users

-- No row at all: count is 0, the others are NULL, and there is one row.
-- expect: equal
SELECT count(*), sum(age), avg(age), bool_and(active) FROM users WHERE id > 100 AND id < 200

-- expect: equal or refused
SELECT count(*) FROM users GROUP BY active HAVING count(*) > 100

-- expect: equal
SELECT active, count(*), sum(age) FROM users GROUP BY active ORDER BY active

-- expect: equal or refused
SELECT count(DISTINCT country) FROM users

-- expect: equal
SELECT DISTINCT active FROM users

-- LIMIT applies once, and OFFSET is not pushed down alone.
-- expect: equal
SELECT id FROM users ORDER BY id LIMIT 2 OFFSET 2

-- expect: equal
SELECT id FROM users ORDER BY id DESC LIMIT 3

-- expect: equal
SELECT age, id FROM users ORDER BY age NULLS FIRST, id DESC LIMIT 4

-- The sort column is not in the answer.
-- expect: equal
SELECT name FROM users ORDER BY age DESC NULLS LAST, id

-- Text under the database's own collation: no order of bytes.
-- expect: equal or refused
SELECT name FROM users ORDER BY name, id

-- expect: equal or refused
SELECT min(name), max(name) FROM users

-- Text under C.
-- expect: equal
SELECT email FROM users ORDER BY email, id

-- Enums sort by their declaration, not by their names.
-- expect: equal or refused
SELECT mood, id FROM users ORDER BY mood, id

-- expect: equal
SELECT id FROM users LIMIT 0

-- expect: equal
SELECT u.id, o.id, o.total FROM users u JOIN orders o ON o.user_id = u.id ORDER BY 1, 2

-- expect: equal
SELECT o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1 ORDER BY o.id

-- Joined on something else than the shard key.
-- expect: refused
SELECT u.id, o.user_id FROM users u JOIN orders o ON o.id = u.age

-- Two colocations.
-- expect: refused
SELECT u.id FROM users u JOIN accounts a ON a.account_id = u.age

-- Several groups span placements, and each is cut only once.
-- expect: equal or refused
SELECT country, count(*) FROM users GROUP BY country ORDER BY count(*) DESC, country LIMIT 2

-- A moved row would be lost.
-- expect: refused shard_key_updated
UPDATE users SET id = 77 WHERE id = 1

-- The counts of all placements are one tag.
-- expect: equal
UPDATE users SET age = age + 1 WHERE age IS NOT NULL

-- Some rows fail: none may change.
-- expect: equal
UPDATE users SET age = CASE WHEN id = 2 THEN -1000 ELSE 1 END

-- expect: equal
SELECT id, age FROM users ORDER BY id

-- One bad row of several: none is inserted.
-- expect: equal
INSERT INTO users (id, active) VALUES (101, true), (102, NULL), (103, true), (104, true)

-- expect: equal
SELECT count(*) FROM users WHERE id > 100

-- expect: equal
INSERT INTO users (id, name) VALUES (1, 'again'), (105, 'new'), (106, 'new'), (107, 'new') ON CONFLICT (id) DO NOTHING

-- One string is one transaction.
-- expect: equal
INSERT INTO users (id) VALUES (201); INSERT INTO users (id) VALUES (202); INSERT INTO users (id) VALUES (203); SELECT 1/0

-- expect: equal
SELECT count(*) FROM users WHERE id > 200

-- expect: equal
DELETE FROM orders WHERE total > 4 RETURNING user_id, id

-- A comment that looks like a key, and a string that looks like a comment.
-- expect: equal
SELECT name /* WHERE id = 1 */ FROM users WHERE id = 2 -- AND id = 3

-- expect: equal
SELECT '-- no comment', id FROM users WHERE id = 2

-- A table of the user's own name hides nothing: a CTE named like a table is not the table.
-- expect: equal or refused
WITH users AS (SELECT 1 AS id) SELECT id FROM users

-- expect: equal or refused
SELECT 1 AS id UNION SELECT 1

-- expect: equal or refused
SELECT active FROM users UNION SELECT active FROM users

-- expect: equal or refused
SELECT row_number() OVER (ORDER BY id), id FROM users

-- expect: equal
SELECT row_number() OVER (ORDER BY id), id FROM orders WHERE user_id = 1

-- expect: equal or refused
SELECT string_agg(email, ',' ORDER BY email) FROM users

-- The same instant in two zones is one key.
-- expect: equal
INSERT INTO moments (at, what) VALUES ('2024-03-31 02:30:00+02', 'spring')

-- expect: equal
SELECT what FROM moments WHERE at = '2024-03-31 00:30:00+00'

-- expect: equal
SELECT what FROM moments WHERE at = timestamptz '2024-03-30 19:30:00-05'

-- A time without a zone depends on the session's.
-- expect: equal or refused
SET TimeZone = 'Europe/Berlin'; SELECT what FROM moments WHERE at = '2024-03-31 01:30:00'; RESET TimeZone

-- Trailing blanks and case are part of a text key.
-- expect: equal
INSERT INTO shops (code, title) VALUES ('a', '1'), ('A', '2'), ('a ', '3'), ('', '4'), ('日本', '5')

-- expect: equal
SELECT title FROM shops WHERE code = 'a'

-- expect: equal
SELECT title FROM shops WHERE code = 'a '

-- expect: equal
SELECT title FROM shops WHERE code = ''

-- expect: equal
SELECT title FROM shops WHERE code = E'\u65e5本'

-- A uuid has many spellings.
-- expect: equal
INSERT INTO documents (id, title) VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'upper')

-- expect: equal
SELECT title FROM documents WHERE id = '{a0eebc999c0b4ef8bb6d6bb9bd380a11}'

-- A composite key is pinned only by all its columns.
-- expect: equal
INSERT INTO tenants (org, region, seats) VALUES (1, 'eu', 5), (1, 'us', 6), (2, 'eu', 7)

-- expect: equal
SELECT seats FROM tenants WHERE org = 1 AND region = 'eu'

-- expect: equal
SELECT seats FROM tenants WHERE org = 1

-- expect: equal
SELECT seats FROM tenants WHERE (org, region) = (1, 'us')

-- expect: equal or refused
SELECT seats FROM tenants WHERE (org, region) IN ((1, 'us'), (2, 'eu'))

-- The row of DEFAULT VALUES is written out with the identity's value, after OVERRIDING SYSTEM VALUE.
-- expect: equal
INSERT INTO tickets DEFAULT VALUES RETURNING title, priority

-- LIMIT 0 over several placements.
-- expect: equal
SELECT id FROM users ORDER BY id LIMIT 0

-- Every column of the row is the server's own, the shard key too.
-- expect: equal
INSERT INTO tickets DEFAULT VALUES

-- A foreign key of another schema's placement stops it: the error names the client's schema.
-- expect: equal
INSERT INTO countries (code, label) SELECT 'Q' || n, 'of one user' FROM generate_series(100, 119) AS n

-- expect: equal
INSERT INTO users (id, country) VALUES (100, 'Q100'), (101, 'Q101'), (102, 'Q102'), (103, 'Q103'), (104, 'Q104'), (105, 'Q105'), (106, 'Q106'), (107, 'Q107'), (108, 'Q108'), (109, 'Q109')

-- expect: equal
DELETE FROM countries WHERE code = 'Q100'

-- expect: equal
DELETE FROM countries WHERE code = 'Q101'

-- expect: equal
DELETE FROM countries WHERE code = 'Q102'

-- expect: equal
DELETE FROM countries WHERE code = 'Q103'

-- expect: equal
DELETE FROM countries WHERE code = 'Q104'

-- expect: equal
DELETE FROM countries WHERE code = 'Q105'

-- expect: equal
DELETE FROM countries WHERE code = 'Q106'

-- expect: equal
DELETE FROM countries WHERE code = 'Q107'

-- expect: equal
DELETE FROM countries WHERE code = 'Q108'

-- expect: equal
DELETE FROM countries WHERE code = 'Q109'
