\set aid random(1, :rows)
\set delta random(-5000, 5000)
SELECT add_to(:aid, :delta);
