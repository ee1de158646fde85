-- What a transaction sees of another's writes, a level at a time.
\session writer
\session reader
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT balance FROM accounts WHERE id = 1;
\session writer
UPDATE accounts SET balance = 11 WHERE id = 1;
\session reader
SELECT balance FROM accounts WHERE id = 1;
SHOW transaction_isolation;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT balance FROM accounts WHERE id = 1;
\session writer
UPDATE accounts SET balance = 12 WHERE id = 1;
\session reader
SELECT balance FROM accounts WHERE id = 1;
UPDATE accounts SET balance = 13 WHERE id = 1;
SELECT 1;
ROLLBACK;
SELECT balance FROM accounts WHERE id = 1;
-- Write skew of two that are serializable.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT balance FROM accounts WHERE id = 1;
\session writer
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT balance FROM accounts WHERE id = 2;
UPDATE accounts SET balance = 1 WHERE id = 1;
\session reader
UPDATE accounts SET balance = 1 WHERE id = 2;
COMMIT;
\session writer
COMMIT;
SELECT id, balance FROM accounts WHERE id IN (1, 2) ORDER BY id;
-- The level is set before the first query.
BEGIN;
SELECT 1;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
ROLLBACK;
BEGIN;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SHOW transaction_isolation;
COMMIT;
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ;
SHOW default_transaction_isolation;
BEGIN;
SHOW transaction_isolation;
COMMIT;
SET default_transaction_isolation = 'serializable';
BEGIN;
SHOW transaction_isolation;
COMMIT;
RESET default_transaction_isolation;
SHOW default_transaction_isolation;
SET default_transaction_read_only = on;
INSERT INTO notes VALUES (1, 'no');
BEGIN READ WRITE;
INSERT INTO notes VALUES (1, 'yes');
COMMIT;
RESET default_transaction_read_only;
SELECT body FROM notes;
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE;
SHOW transaction_deferrable;
SELECT balance FROM accounts WHERE id = 2;
COMMIT;
BEGIN ISOLATION LEVEL NOTHING;
-- Locks that are not waited for.
\session writer
BEGIN;
SELECT id FROM accounts WHERE id = 1 FOR UPDATE;
\session reader
SELECT id FROM accounts WHERE id = 1 FOR UPDATE NOWAIT;
SELECT id FROM accounts WHERE id = 1 FOR UPDATE SKIP LOCKED;
SET lock_timeout = '50ms';
UPDATE accounts SET balance = 0 WHERE id = 1;
RESET lock_timeout;
\session writer
COMMIT;
