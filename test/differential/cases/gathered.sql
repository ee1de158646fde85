-- Statements whose rows or groups several placements give, and whose order, cut and
-- expressions the catalog database adds. The default collation is ICU's English.

-- expect: equal
INSERT INTO countries (code, label, people) VALUES ('DE', 'Germany', 83), ('FR', 'France', 68), ('AT', 'Austria', 9)

-- expect: equal
INSERT INTO users (id, name, email, age, mood, country, active, created, balance, score, tags, profile)
VALUES (1, 'zebra', 'a@x', 30, 'sad', 'DE', true, '2024-01-03 10:00+00', 1.10, 0.25, '{a,b}', '{"a": 1}'), (2, 'Äpfel', 'B@x', NULL, 'happy', 'FR', false, '2024-01-03 11:00+00', 2.20, 0.5, NULL, '[1, 2]'),
  (3, 'apple', 'c@x', 5, NULL, NULL, true, NULL, 0.5, -1, '{}', NULL), (4, 'Zebra', NULL, 0, 'ok', 'AT', true, '2023-12-31', -3, NULL, '{b}', '{"a": 1}'),
  (-5, NULL, 'e@x', 30, 'meh', 'DE', true, '2022-02-02', 0, 1024, '{NULL,z}', '"s"'), (6, 'Apfel', 'f@x', 30, 'Über', 'FR', false, '2024-02-29', 100.001, 7, '{a}', 'null'),
  (7, 'äpfel', 'g@x', 5, 'sad', 'DE', false, '2024-02-01', 1.1, 0.125, '{a,b}', '[1]'), (8, 'apfel', 'h@x', 7, 'ok', 'AT', true, '2020-01-01', 1, 2, '{c}', '3'),
  (9, 'ápfel', 'i@x', 5, 'ok', 'FR', true, '2021-01-01', 123456789012.5, 3.5, '{ä}', '{"b": null}')

-- expect: equal
INSERT INTO orders (user_id, id, placed, total, note) VALUES (1, 1, '2024-01-01', 10, 'x'), (1, 2, '2024-02-01', 5.5, NULL), (2, 1, '2023-01-01', 1, 'y'), (4, 1, '2023-01-01', 2.25, 'x'),
  (6, 1, NULL, 3, 'z'), (6, 2, '2024-02-01', 3, 'Z'), (6, 3, '2024-02-02', -3, 'ä'), (8, 1, '2024-03-01', 0.001, 'x'), (9, 1, '2024-01-01', 77, 'a')

-- Words are not sorted by their bytes, and the cut follows their order.
-- expect: equal
SELECT id, name FROM users ORDER BY name, id

-- expect: equal
SELECT id, name FROM users ORDER BY name DESC NULLS LAST, id LIMIT 3 OFFSET 2

-- expect: equal
SELECT id FROM users ORDER BY lower(name) COLLATE "C", name COLLATE "en-x-icu" DESC, id

-- expect: equal
SELECT * FROM users ORDER BY name, id LIMIT 4

-- expect: equal
SELECT u.name, o.note FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.note, u.name, o.id LIMIT 5 OFFSET 1

-- expect: equal
SELECT name FROM users WHERE id IN (1, 2, 3) ORDER BY name

-- Types whose order the proxy does not know.
-- expect: equal
SELECT id FROM users ORDER BY profile, id

-- expect: equal
SELECT id, tags FROM users ORDER BY tags DESC, id

-- expect: equal
SELECT id FROM users ORDER BY profile -> 'a' NULLS FIRST, ROW(age, id)

-- expect: equal
SELECT id FROM users ORDER BY age USING >, id USING <

-- The last row's equals are rows too, on whichever placement.
-- expect: equal
SELECT age FROM users ORDER BY age FETCH FIRST 2 ROWS WITH TIES

-- expect: equal
SELECT age FROM users ORDER BY age DESC OFFSET 2 FETCH FIRST 2 ROWS WITH TIES

-- expect: equal
SELECT age, count(*) FROM users GROUP BY age ORDER BY count(*) DESC, age IS NULL FETCH FIRST ROW WITH TIES

-- Limits that a server works out.
-- expect: equal
SELECT id FROM users ORDER BY id LIMIT 1 + 2 OFFSET 4 / 2

-- expect: equal
SELECT id FROM users ORDER BY id LIMIT 2.5

-- expect: equal
SELECT id FROM users ORDER BY id OFFSET 1 FETCH FIRST ROW ONLY

-- expect: equal
SELECT id FROM users ORDER BY id LIMIT 9223372036854775807 + 0 OFFSET 7

-- expect: equal
SELECT id FROM users ORDER BY id LIMIT -1

-- expect: equal
SELECT id FROM users ORDER BY id LIMIT 3 OFFSET -1

-- expect: equal
SELECT id FROM users ORDER BY id LIMIT (SELECT count(*) - 1 FROM countries)

-- expect: equal
SELECT count(*) FROM users LIMIT -1

-- A row's type is no column's, so that whole tables are copied.
-- expect: equal
SELECT ROW(id, name) FROM users ORDER BY name, id

-- expect: equal
SELECT id FROM users ORDER BY id LIMIT 1 / 0

-- Rows that are alike on several placements.
-- expect: equal
SELECT DISTINCT country FROM users ORDER BY country LIMIT 3

-- expect: equal
SELECT DISTINCT profile FROM users ORDER BY profile

-- expect: equal
SELECT DISTINCT lower(u.name) FROM users u ORDER BY lower(name) DESC

-- expect: equal
SELECT DISTINCT ON (country) country, name, age FROM users ORDER BY country, age DESC NULLS LAST, id

-- expect: equal
SELECT DISTINCT ON (u.age) id FROM users u ORDER BY age NULLS FIRST, name, id LIMIT 2 OFFSET 1

-- expect: equal
SELECT DISTINCT ON (user_id) user_id, note FROM orders ORDER BY user_id, note DESC

-- What is made of groups.
-- expect: equal
SELECT country, count(*) FROM users GROUP BY country HAVING count(*) > 1 ORDER BY country

-- expect: equal
SELECT country, count(*)::int AS n, coalesce(sum(balance), 0) AS total, round(avg(age), 2) FROM users GROUP BY country ORDER BY n DESC, country LIMIT 3

-- expect: equal
SELECT max(balance) - min(balance), sum(age) / count(age), avg(balance) * 2, avg(score) FROM users

-- expect: equal
SELECT country, sum(age), sum(id), avg(age), avg(id), avg(balance), count(score), bool_and(active), bool_or(active) FROM users GROUP BY country HAVING true ORDER BY country

-- expect: equal
SELECT age, min(name), max(name), min(name COLLATE "C"), max(mood), max(tags) FROM users GROUP BY age ORDER BY age

-- expect: equal
SELECT profile, count(*) FROM users GROUP BY profile ORDER BY profile

-- expect: equal
SELECT tags, count(*) + 1 FROM users GROUP BY tags ORDER BY tags

-- expect: equal
SELECT round(stddev(age), 3), variance(balance) + 0, age IS NULL FROM users GROUP BY age IS NULL ORDER BY 3

-- expect: equal
SELECT sum(age) FROM users WHERE id > 1000 HAVING count(*) = 0

-- expect: equal
SELECT avg(age) + 1, sum(age) + 1, count(*) + 1 FROM users WHERE id > 1000

-- expect: equal
SELECT sum(age) FROM users HAVING count(*) > 1000

-- expect: equal
SELECT avg(created - '2020-01-01 00:00+00') + '1 second', sum(created - '2020-01-01 00:00+00') * 2 FROM users

-- Aliases do not hide what groups are called.
-- expect: equal
SELECT count(*) AS g1, -count(*) AS a1 FROM users GROUP BY country ORDER BY country

-- expect: equal
SELECT upper(country) AS country, count(*) FROM users GROUP BY users.country ORDER BY users.country DESC

-- expect: equal
SELECT 'x' AS k, count(*) || 'x' FROM users GROUP BY k

-- Windows, duplicates and sets made of groups.
-- expect: equal
SELECT country, sum(count(*)) OVER (ORDER BY country), rank() OVER (ORDER BY count(*) DESC) FROM users GROUP BY country ORDER BY country

-- expect: equal
SELECT country, lag(max(name)) OVER w FROM users GROUP BY country WINDOW w AS (ORDER BY max(name) DESC) ORDER BY country

-- expect: equal
SELECT DISTINCT count(*) FROM users GROUP BY country ORDER BY 1

-- expect: equal
SELECT DISTINCT ON (count(*)) count(*), country FROM users GROUP BY country ORDER BY count(*), country DESC

-- expect: equal
SELECT country, generate_series(1, count(*)) AS n FROM users GROUP BY country ORDER BY country, n

-- expect: equal
SELECT user_id, count(DISTINCT note), string_agg(note, ',' ORDER BY note), rank() OVER (ORDER BY sum(total) DESC NULLS LAST, user_id) FROM orders GROUP BY user_id HAVING count(*) >= 1 ORDER BY 4

-- Types that nobody knows before the rows come: what began in the proxy begins anew in the database.
-- expect: equal
SELECT profile -> 'a', round(stddev(age), 2) FROM users GROUP BY 1 ORDER BY 1

-- expect: equal
SELECT profile -> 'a' AS a, stddev(age), count(*) FROM users GROUP BY 1

-- expect: equal
SELECT DISTINCT profile -> 'a' FROM users

-- expect: equal
SELECT id FROM users ORDER BY profile -> 'a', CASE WHEN active THEN name END || country, id LIMIT 4

-- expect: equal
SELECT max(profile ->> 'a'), min(name || country) FROM users

-- What a sub-select computes has a type.
-- expect: equal
SELECT band, avg(n) + 1, count(*) FROM (SELECT age / 10 AS band, score AS n, name FROM users) v GROUP BY band ORDER BY band

-- expect: equal
SELECT day, max(who) FROM (SELECT date_trunc('month', created) AS day, name AS who FROM users) v GROUP BY day ORDER BY day

-- Errors are PostgreSQL's.
-- expect: equal
SELECT 1 / (count(*) - count(*)) FROM users

-- expect: equal
SELECT country, count(*) FROM users GROUP BY country HAVING 1 / (count(*) - count(*)) > 0

-- expect: equal
SELECT name, count(*) FROM users GROUP BY country

-- expect: equal
SELECT country FROM users GROUP BY country ORDER BY age

-- expect: equal
SELECT DISTINCT country FROM users ORDER BY name

-- expect: equal
SELECT DISTINCT ON (country) name FROM users ORDER BY age

-- Of LIMIT 0 nothing is evaluated, so nothing can fail.
-- expect: equal
SELECT age, sum(9223372036854775807 + abs(id)) FROM users GROUP BY age ORDER BY age DESC LIMIT 0

-- expect: equal
SELECT age, count(*), sum(9223372036854775807 + abs(id)) FROM users GROUP BY age LIMIT 0

-- expect: equal
SELECT DISTINCT age + 2147483647 FROM users LIMIT 0
