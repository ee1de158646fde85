SELECT pg_advisory_lock(1);
SELECT pg_try_advisory_lock(1);
\session other
SELECT pg_try_advisory_lock(1);
SELECT pg_try_advisory_lock_shared(1);
SELECT pg_advisory_unlock(1);
\session main
SELECT pg_advisory_unlock(1);
\session other
SELECT pg_try_advisory_lock(1);
\session main
SELECT pg_advisory_unlock(1);
\session other
SELECT pg_try_advisory_lock(1);
SELECT pg_advisory_unlock(1);
\session main
SELECT pg_advisory_unlock(1);
-- Two keys are no one key.
SELECT pg_advisory_lock(1, 2);
\session other
SELECT pg_try_advisory_lock(1, 2), pg_try_advisory_lock(4294967298);
SELECT pg_advisory_unlock_all();
\session main
SELECT pg_advisory_unlock_all();
SELECT pg_advisory_unlock(1, 2);
-- Of the transaction.
BEGIN;
SELECT pg_advisory_xact_lock(7);
\session other
SELECT pg_try_advisory_xact_lock(7);
SELECT pg_try_advisory_lock(7);
\session main
COMMIT;
\session other
SELECT pg_try_advisory_lock(7);
SELECT pg_advisory_unlock(7);
\session main
BEGIN;
SAVEPOINT a;
SELECT pg_try_advisory_xact_lock(8);
ROLLBACK TO a;
\session other
SELECT pg_try_advisory_lock(8);
SELECT pg_advisory_unlock(8);
\session main
ROLLBACK;
-- A rollback keeps the session's.
BEGIN;
SELECT pg_advisory_lock(9);
ROLLBACK;
\session other
SELECT pg_try_advisory_lock(9);
SET lock_timeout = '30ms';
SELECT pg_advisory_lock(9);
\session main
DISCARD ALL;
\session other
SELECT pg_try_advisory_lock(9);
SELECT pg_advisory_unlock_all();
