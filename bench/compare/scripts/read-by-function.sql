\set aid random(1, :rows)
SELECT balance_of(:aid);
