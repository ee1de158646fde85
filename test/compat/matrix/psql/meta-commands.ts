/** psql's meta-commands, with what they need to have something to show. */

/** What the schema of the matrix does not have. */
export const OBJECTS = String.raw`
CREATE TABLE unlisted (id integer PRIMARY KEY, name text DEFAULT 'x' CHECK (name <> ''), kept boolean);
CREATE INDEX unlisted_name ON unlisted (lower(name)) WHERE kept;
CREATE TABLE parted (id integer, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_2024 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE SEQUENCE counted START 5 INCREMENT 2;
CREATE VIEW rich AS SELECT id, owner FROM accounts WHERE balance > 1000;
CREATE VIEW labels AS SELECT label FROM kinds;
CREATE MATERIALIZED VIEW summed AS SELECT count(*) FROM unlisted;
CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touching BEFORE UPDATE ON unlisted FOR EACH ROW EXECUTE FUNCTION touched();
CREATE AGGREGATE product (integer) (SFUNC = int4mul, STYPE = integer, INITCOND = '1');
CREATE INDEX accounts_owner ON accounts (owner);
COMMENT ON TABLE accounts IS 'who has what';
COMMENT ON COLUMN accounts.note IS 'free text';
GRANT SELECT ON accounts TO PUBLIC;
GRANT SELECT (label) ON kinds TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
INSERT INTO unlisted VALUES (1, 'one', true), (2, 'two', false);
`;

/** They only print, so that one psql runs all of them. */
export const DESCRIBING: readonly string[] = String.raw`
\d
\d+
\dS pg_class
\d accounts
\d+ accounts
\d entries
\d+ entries
\d kinds
\d+ kinds
\d every_type
\d+ every_type
\d unlisted
\d+ unlisted
\d parted
\d+ parted
\d rich
\d+ rich
\d summed
\d+ summed
\d counted
\d+ counted
\d accounts_pkey
\d unlisted_name
\d pg_catalog.pg_tables
\d no_such
\d *counts*
\da
\da+ product
\daS sum
\dA
\dA+
\dAc btree
\dAc+ hash int*
\dAf btree int*
\dAf+ hash text
\dAo btree integer_ops
\dAo+ hash text_ops
\dAp btree integer_ops
\dAp+ hash text_ops
\db
\db+
\dc
\dcS *utf8*
\dconfig work_mem
\dconfig+ *_cost
\dC
\dC+ integer
\dd
\ddS sum
\dD
\dD+
\ddp
\dE
\dES
\det
\des
\deu
\dew
\df
\df+ twice
\dfn
\dft
\dfa
\dfS lower
\dF
\dF+ english
\dFd
\dFd+ simple
\dFp
\dFp+
\dFt
\dFt+
\dg app
\dg+ app
\du app
\du+ app
\di
\di+
\diS pg_class*
\dl
\dL
\dL+
\dLS
\dm
\dm+
\dn
\dn+
\dnS
\do
\doS || text
\dO
\dOS C
\dp
\dp accounts
\dpS pg_authid
\z
\dP
\dP+
\dPt
\drds
\dRp
\dRp+
\dRs
\ds
\ds+
\dt
\dt+
\dt accounts
\dtS pg_a*
\dt public.*
\dtv
\dT
\dT+
\dTS int4
\dv
\dv+
\dvS pg_tables
\dx
\dx+
\dX
\dy
\l main
\sf twice
\sf+ twice
\sv rich
\sv+ labels
\drg
\lo_list
`
  .trim()
  .split("\n");

/** Each is a script of its own: what it leaves in the buffer or in a setting, the next does not see. */
export const RUNNING: readonly string[] = [
  "SELECT id, owner FROM accounts WHERE id < 3 ORDER BY id \\g",
  "SELECT id, owner FROM accounts WHERE id < 3 ORDER BY id \\g (format=csv)",
  "SELECT id, owner FROM accounts WHERE id < 3 ORDER BY id \\gx",
  "SELECT id, owner, balance FROM accounts \\gdesc",
  "SELECT count(*), sum(balance) AS total FROM accounts \\gdesc",
  "SELECT format('SELECT owner FROM accounts WHERE id = %s', id) FROM accounts WHERE id < 4 ORDER BY id \\gexec",
  "SELECT 'CREATE TABLE made (id integer)', 'DROP TABLE made' \\gexec",
  "SELECT owner AS found FROM accounts WHERE id = 7 \\gset\n\\echo :found",
  "SELECT owner, balance, id FROM accounts WHERE id < 4 ORDER BY id \\crosstabview owner id balance",
  // It goes on until there is an error.
  "INSERT INTO unlisted (id) SELECT 100 + count(*) + 1 / (4 - count(*)) FROM unlisted \\watch 0.05",
  "SELECT 1 / 0;\n\\errverbose",
  "INSERT INTO accounts (id, owner) VALUES (1, 'again');\n\\errverbose",
  "SELECT no_such FROM accounts;\n\\errverbose",
  "SELECT id FROM accounts WHERE id = 5\n\\p\n\\r\n\\p\nSELECT 2;",
  "SELECT 1\n\\e\n;",
  "\\ef twice\n;",
  "\\ev labels\n;",
  "\\copy (SELECT id, owner FROM accounts WHERE id < 4 ORDER BY id) TO STDOUT",
  "\\copy (SELECT id, owner FROM accounts WHERE id < 4 ORDER BY id) TO STDOUT (FORMAT csv, HEADER)",
  "\\copy accounts (id, owner) FROM STDIN\n5001\tfirst\n5002\tsecond\n\\.\nSELECT id, owner FROM accounts WHERE id > 5000 ORDER BY id;\nDELETE FROM accounts WHERE id > 5000;",
  "\\copy accounts (id, owner) FROM STDIN CSV\nx,first\n\\.\n",
  "\\copy unlisted TO 'unlisted.out'\n\\! cat unlisted.out",
  "\\o ordered.out\nSELECT owner FROM accounts WHERE id = 3;\n\\o\n\\! cat ordered.out",
  "SELECT owner FROM accounts WHERE id = 3 \\g written.out\n\\! cat written.out",
  "SELECT owner FROM accounts WHERE id = 3 \\g | tr a-z A-Z",
  "\\! echo 'SELECT owner FROM accounts WHERE id = 4;' > included.sql\n\\i included.sql\n\\ir included.sql",
  "SELECT 1\n\\w buffer.sql\n\\! cat buffer.sql",
  "SELECT exists (SELECT FROM accounts WHERE id = 1) AS there \\gset\n\\if :there\n\\echo yes\n\\else\n\\echo no\n\\endif",
  "\\x\nSELECT id, owner FROM accounts WHERE id = 1;\n\\x auto\n\\t\n\\a\n\\f ;\nSELECT id, owner FROM accounts WHERE id = 1;",
  "\\H\nSELECT id FROM accounts WHERE id = 1;\n\\pset format latex\nSELECT id FROM accounts WHERE id = 1;",
  "\\C Title\n\\T border\n\\pset null nothing\n\\pset border 2\nSELECT id, note FROM accounts WHERE id = 1;",
  "\\c\nSELECT current_database();",
  "\\c main app\nSELECT current_user, session_user;",
  "\\conninfo",
  "\\encoding\n\\encoding UTF8\n\\encoding\nSHOW client_encoding;",
  "\\encoding LATIN1\nSELECT 'ü';",
  "\\password app\nsecret\nsecret\n",
  "\\timing on\nSELECT 1;",
  '\\set who 3\nSELECT owner FROM accounts WHERE id = :who;\nSELECT :\'who\', :"who" FROM (SELECT 1 AS "3") s;',
  "\\getenv port COMPAT_SCHEMA\n\\echo :port\n\\setenv A b\n\\! echo $A",
  "\\prompt 'number: ' n\n4\nSELECT owner FROM accounts WHERE id = :n;",
  "\\echo a\n\\qecho b\n\\warn c",
  "\\set ON_ERROR_ROLLBACK on\nBEGIN;\nUPDATE accounts SET balance = 1 WHERE id = 1;\nSELECT 1 / 0;\nUPDATE accounts SET balance = 2 WHERE id = 2;\nCOMMIT;\nSELECT id, balance FROM accounts WHERE id < 3 ORDER BY id;\nUPDATE accounts SET balance = 100;",
  "\\set AUTOCOMMIT off\nUPDATE accounts SET balance = 1 WHERE id = 1;\nROLLBACK;\nSELECT balance FROM accounts WHERE id = 1;",
  "\\set ECHO_HIDDEN on\n\\dn",
  "\\set SINGLELINE on\nSELECT 1\nSELECT 2",
  "\\set SHOW_ALL_RESULTS off\nSELECT 1\\; SELECT 2;",
  "\\set FETCH_COUNT 300\nSELECT count(*) FROM (SELECT 1) s;\nSELECT id FROM accounts WHERE id < 5 ORDER BY id;",
  "SELECT 1\\; SELECT owner FROM accounts WHERE id = 2\\; SELECT 3;",
  "BEGIN\\; UPDATE accounts SET balance = 7 WHERE id = 1\\; ROLLBACK;",
  "\\lo_import /dev/null empty\n\\lo_unlink :LASTOID",
  "\\h LOCK",
  "\\copyright",
  "\\bind 7 \\g",
  "SELECT owner FROM accounts WHERE id = $1 \\bind 7 \\g",
  "SELECT owner FROM accounts WHERE id = $1 OR id = $2 ORDER BY id \\bind 7 8 \\g",
  "SELECT owner FROM accounts WHERE id = $1 \\parse named\n\\bind_named named 7 \\g\n\\bind_named named 8 \\gx\n\\close_prepared named\n\\bind_named named 7 \\g",
  "\\startpipeline\nSELECT owner FROM accounts WHERE id = $1 \\bind 1 \\sendpipeline\nSELECT owner FROM accounts WHERE id = $1 \\bind 2 \\sendpipeline\n\\syncpipeline\nSELECT 1 / $1::int \\bind 0 \\sendpipeline\nSELECT owner FROM accounts WHERE id = $1 \\bind 3 \\sendpipeline\n\\syncpipeline\nSELECT count(*) FROM accounts \\bind \\sendpipeline\n\\endpipeline",
  "\\startpipeline\nSELECT 1 \\bind \\sendpipeline\n\\flushrequest\n\\getresults\nSELECT 2 \\bind \\sendpipeline\n\\flush\n\\endpipeline",
  "\\startpipeline\nUPDATE accounts SET balance = 5 WHERE id = 1;\nUPDATE accounts SET balance = 5 WHERE id = 2;\nSELECT 1 / 0;\n\\endpipeline\nSELECT balance FROM accounts WHERE id < 3 ORDER BY id;",
  "SELECT count(*) FROM accounts \\watch i=0.1 c=2",
];
