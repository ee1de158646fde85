COPY accounts FROM STDIN;
3	carl	30
103	dora	31
203	\N	32
\.
SELECT * FROM accounts ORDER BY id;
COPY (SELECT * FROM accounts ORDER BY id) TO STDOUT (FORMAT csv, HEADER, NULL 'nobody');
COPY accounts (id, balance) FROM STDIN (FORMAT csv, HEADER);
id,balance
4,40
104,41
\.
COPY (SELECT id, name FROM accounts WHERE id < 100 ORDER BY id) TO STDOUT;
COPY accounts FROM STDIN;
5	five	50
1	taken	10
6	six	60
\.
SELECT id FROM accounts WHERE id IN (5, 6);
COPY accounts FROM STDIN;
7	seven	many
\.
COPY accounts FROM STDIN;
7	seven
\.
COPY accounts FROM STDIN;
7	seven	7	too much
\.
COPY accounts FROM STDIN (FORMAT csv);
8,"open quote,1
\.
COPY accounts FROM STDIN;
9	nine	-9
\.
COPY nowhere FROM STDIN;
COPY accounts (nothing) FROM STDIN;
COPY accounts FROM STDIN (FORMAT nonsense);
COPY accounts FROM STDIN (DELIMITER 'ab');
-- In transactions.
BEGIN;
COPY accounts FROM STDIN;
10	ten	1
110	one hundred and ten	1
\.
SELECT count(*) FROM accounts WHERE id IN (10, 110);
ROLLBACK;
SELECT count(*) FROM accounts WHERE id IN (10, 110);
BEGIN;
SAVEPOINT a;
COPY accounts FROM STDIN;
11	eleven	x
\.
SELECT 1;
ROLLBACK TO a;
COPY accounts FROM STDIN (DELIMITER ';', NULL '-');
12;-;12
\.
COMMIT;
SELECT * FROM accounts WHERE id = 12;
COPY notes FROM STDIN;
1	line\nbreak \\ and tab\t.
2	
\.
SELECT id, body, length(body) FROM notes ORDER BY id;
COPY notes TO STDOUT;
COPY (SELECT 1, 'a,b', NULL, 'say "x"') TO STDOUT (FORMAT csv, FORCE_QUOTE *);
COPY (SELECT 1 / 0) TO STDOUT;
COPY (UPDATE notes SET body = 'changed' WHERE id = 1 RETURNING id, body) TO STDOUT;
COPY countries FROM STDIN (FORMAT csv);
de,Germany
fr,France
\.
SELECT * FROM countries ORDER BY code;
COPY entries FROM STDIN;
99	1	no account
\.
