CREATE TEMP TABLE scratch (id int PRIMARY KEY, word text DEFAULT 'none');
INSERT INTO scratch (id) VALUES (1), (2);
INSERT INTO scratch VALUES (1, 'again');
SELECT * FROM scratch ORDER BY id;
CREATE TEMP TABLE scratch (id int);
CREATE TEMP TABLE IF NOT EXISTS scratch (id int);
UPDATE scratch SET word = 'some' WHERE id = 2 RETURNING *;
CREATE INDEX ON scratch (word);
ALTER TABLE scratch ADD COLUMN n int DEFAULT 5;
SELECT id, n FROM scratch ORDER BY id;
TRUNCATE scratch;
SELECT count(*) FROM scratch;
DROP TABLE scratch;
SELECT count(*) FROM scratch;
-- ON COMMIT.
BEGIN;
CREATE TEMP TABLE gone (n int) ON COMMIT DROP;
INSERT INTO gone VALUES (1);
SELECT n FROM gone;
COMMIT;
SELECT n FROM gone;
CREATE TEMP TABLE emptied (n int) ON COMMIT DELETE ROWS;
BEGIN;
INSERT INTO emptied VALUES (1), (2);
SELECT count(*) FROM emptied;
COMMIT;
SELECT count(*) FROM emptied;
DROP TABLE emptied;
-- Made and undone.
BEGIN;
CREATE TEMP TABLE undone (n int);
ROLLBACK;
SELECT * FROM undone;
BEGIN;
CREATE TEMP TABLE half (n int);
SAVEPOINT a;
INSERT INTO half VALUES (1);
ROLLBACK TO a;
SELECT count(*) FROM half;
COMMIT;
SELECT count(*) FROM half;
DROP TABLE half;
-- In front of a table of the same name.
CREATE TEMP TABLE notes (id int, body text);
INSERT INTO notes VALUES (1, 'temporary');
SELECT body FROM notes;
SELECT body FROM public.notes;
DROP TABLE notes;
SELECT count(*) FROM notes;
CREATE TEMP SEQUENCE counter START 5;
SELECT nextval('counter');
SELECT nextval('counter'), currval('counter');
DROP SEQUENCE counter;
CREATE TEMP VIEW seen AS SELECT 1 AS one;
SELECT * FROM seen;
DROP VIEW seen;
CREATE TEMP TABLE made AS SELECT generate_series(1, 3) AS n;
SELECT sum(n) FROM made;
SELECT n INTO TEMP made_too FROM made WHERE n > 1;
SELECT count(*) FROM made_too;
DISCARD TEMP;
SELECT count(*) FROM made;
-- Another session's are its own.
\session other
SELECT count(*) FROM made;
CREATE TEMP TABLE made (n int);
\session main
SELECT count(*) FROM made;
