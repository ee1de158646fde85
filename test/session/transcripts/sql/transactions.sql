-- Blocks, their ends, and what an error does to them.
BEGIN;
UPDATE accounts SET balance = balance - 5 WHERE id = 1;
UPDATE accounts SET balance = balance + 5 WHERE id = 101;
SELECT id, balance FROM accounts ORDER BY id;
COMMIT;
SELECT sum(balance) FROM accounts;
BEGIN;
DELETE FROM accounts WHERE id = 2;
ROLLBACK;
SELECT count(*) FROM accounts;
-- An error ends all but the end.
BEGIN;
INSERT INTO accounts VALUES (3, 'eve', 7);
INSERT INTO accounts VALUES (3, 'eve again', 8);
SELECT 1;
INSERT INTO accounts VALUES (4, 'fay', 9);
SAVEPOINT late;
COMMIT;
SELECT id FROM accounts WHERE id IN (3, 4);
-- Commands without a block.
COMMIT;
ROLLBACK;
ABORT;
END;
SAVEPOINT nowhere;
RELEASE nowhere;
ROLLBACK TO nowhere;
COMMIT AND CHAIN;
ROLLBACK AND CHAIN;
-- A block in a block.
BEGIN;
BEGIN;
START TRANSACTION;
UPDATE accounts SET name = 'anna' WHERE id = 1;
COMMIT;
SELECT name FROM accounts WHERE id = 1;
-- Chains keep their modes.
BEGIN READ ONLY;
UPDATE accounts SET name = 'no' WHERE id = 1;
ROLLBACK AND CHAIN;
SHOW transaction_read_only;
COMMIT AND CHAIN;
SHOW transaction_read_only;
COMMIT AND NO CHAIN;
SHOW transaction_read_only;
BEGIN READ ONLY;
SET TRANSACTION READ WRITE;
UPDATE accounts SET name = 'now' WHERE id = 1;
COMMIT;
SELECT name FROM accounts WHERE id = 1;
BEGIN;
SELECT name FROM accounts WHERE id = 1;
SET TRANSACTION READ ONLY;
SET TRANSACTION READ WRITE;
ROLLBACK;
-- What cannot run inside.
BEGIN;
VACUUM accounts;
ROLLBACK;
BEGIN;
DISCARD ALL;
ROLLBACK;
-- Constraints, each by its own words.
INSERT INTO accounts VALUES (5, 'gus', -1);
INSERT INTO accounts VALUES (5, 'gus', NULL);
INSERT INTO entries VALUES (77, 1, 'nobody');
DELETE FROM accounts WHERE id = 'x';
UPDATE accounts SET balance = 1 / 0 WHERE id = 1;
UPDATE accounts SET balance = balance - 1000 WHERE id = 1;
SELECT id, name, balance FROM accounts ORDER BY id;
