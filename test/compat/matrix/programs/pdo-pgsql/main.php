<?php
// PDO with pdo_pgsql: the common checks. libpq reads the certificate's settings from the environment.
declare(strict_types=1);

const ACCOUNTS = 1000;
const COPY_ROWS = 5000;
const CHECK_SECONDS = 40;

const TEXTS = [
    'a_boolean' => true,
    'a_smallint' => -32768,
    'an_integer' => 2147483647,
    'a_bigint' => PHP_INT_MIN,
    'a_numeric' => '12345678901234567890.0123456789',
    'a_real' => '1.5',
    'a_double' => '0.1',
    'a_text' => "grüße, 世界 😀 'quoted' \\ \"double\"\nline",
    'a_varchar' => 'varying',
    'a_char' => 'fix  ',
    'a_date' => '2024-02-29',
    'a_time' => '23:59:59.123456',
    'a_timetz' => '12:30:00+02',
    'a_timestamp' => '2024-02-29 12:34:56.789012',
    'a_timestamptz' => '2024-02-29 10:34:56.789012+00',
    'an_interval' => '3 days 04:05:06.789',
    'a_uuid' => 'c8f1b7f0-3d6e-4f0b-9f43-6f5a9c1f2d3e',
    'a_json' => '{"a": [1, 2.5, null], "b": "x"}',
    'a_jsonb' => '{"a": [1, 2.5, null], "b": "x"}',
    'integers' => '{1,NULL,-3}',
    'texts' => '{plain,"with, comma",NULL,"quote\"d"}',
    'an_inet' => '192.168.1.5/24',
    'a_cidr' => '10.0.0.0/8',
    'a_macaddr' => '08:00:2b:01:02:03',
    'a_bit' => '10101010',
    'a_varbit' => '10111',
    'a_point' => '(1.5,-2)',
    'an_int4range' => '[1,10)',
    'a_tstzrange' => '["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")',
    'an_xml' => '<a><b>1</b></a>',
    'a_money' => '$1,234.56',
    'a_mood' => 'happy',
    'a_posint' => 7,
    'a_comp' => '(3,"a ""b"", c")',
];

class Absent extends Exception
{
}

function expect(mixed $actual, mixed $expected, string $what): void
{
    if ($actual === $expected) {
        return;
    }
    [$got, $want] = array_map(fn ($value) => substr(var_export($value, true), 0, 200), [$actual, $expected]);
    throw new UnexpectedValueException("$what: $got, expected $want");
}

function connect(array $options = [], string $password = null): PDO
{
    $source = sprintf('pgsql:host=%s;port=%s;dbname=%s', getenv('PGHOST'), getenv('PGPORT'), getenv('PGDATABASE'));
    $pdo = new PDO($source, getenv('PGUSER'), $password ?? getenv('PGPASSWORD'), $options + [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_EMULATE_PREPARES => false,
    ]);
    $pdo->exec("SET TIME ZONE 'UTC'");
    return $pdo;
}

function rows(PDO $pdo, string $sql, array $values = []): array
{
    $statement = $pdo->prepare($sql);
    $statement->execute($values);
    return $statement->fetchAll(PDO::FETCH_NUM);
}

function fails(string $sqlstate, callable $action): PDOException
{
    try {
        $action();
    } catch (PDOException $error) {
        expect($error->errorInfo[0], $sqlstate, "the SQLSTATE of {$error->getMessage()}");
        return $error;
    }
    throw new UnexpectedValueException("no error, expected $sqlstate");
}

function check_connect(): void
{
    $pdo = connect();
    $encrypted = $pdo->getAttribute(PDO::ATTR_CONNECTION_STATUS);
    expect(str_contains($encrypted, 'Connection OK'), true, $encrypted);
    expect(version_compare($pdo->getAttribute(PDO::ATTR_SERVER_VERSION), '14') > 0, true, 'the version');
    expect(rows($pdo, 'SELECT current_user, current_database()'), [[getenv('PGUSER'), getenv('PGDATABASE')]], 'who');
    try {
        connect([], 'not it');
    } catch (PDOException $error) {
        expect(str_contains($error->getMessage(), 'password authentication failed'), true, $error->getMessage());
        return;
    }
    throw new UnexpectedValueException('connected with a wrong password');
}

function check_types_text(): void
{
    $pdo = connect();
    $columns = array_keys(TEXTS);
    $list = implode(', ', [...$columns, 'a_bytea']);
    $marks = implode(', ', array_fill(0, count($columns) + 2, '?'));
    $insert = $pdo->prepare("INSERT INTO every_type (id, $list) VALUES ($marks)");
    $bytes = "\x00\x01\xfe\xff'\\";
    foreach (range(1, 16) as $key) {
        $insert->bindValue(1, $key, PDO::PARAM_INT);
        foreach ([...array_values(TEXTS), $bytes] as $n => $value) {
            $type = is_bool($value) ? PDO::PARAM_BOOL : (is_int($value) ? PDO::PARAM_INT : PDO::PARAM_STR);
            $type = $value === $bytes ? PDO::PARAM_LOB : $type;
            $insert->bindValue($n + 2, $key % 2 ? null : $value, $key % 2 ? PDO::PARAM_NULL : $type);
        }
        $insert->execute();
    }
    // Floating point numbers and bytes come as PHP's own.
    $read = function (array $row): array {
        return array_map(fn ($v) => is_resource($v) ? stream_get_contents($v) : (is_float($v) ? (string) $v : $v), $row);
    };
    $all = [...array_values(TEXTS), $bytes];
    $nulls = array_fill(0, count($all), null);
    foreach (range(1, 16) as $key) {
        [$row] = rows($pdo, "SELECT $list FROM every_type WHERE id = ?", [$key]);
        foreach ($read($row) as $n => $value) {
            expect($value, ($key % 2 ? $nulls : $all)[$n], ($columns[$n] ?? 'a_bytea') . " of $key");
        }
    }
    $rows = array_map($read, rows($pdo, "SELECT $list FROM every_type ORDER BY id"));
    expect($rows, array_merge(...array_fill(0, 8, [$nulls, $all])), 'of all placements');
}

function check_types_binary(): void
{
    throw new Absent('PDO reads results as text alone');
}

function check_prepared(): void
{
    [$pdo, $other] = [connect(), connect()];
    $statement = $pdo->prepare('SELECT id, owner FROM accounts WHERE id = :id');
    $read = function (int $from, int $to) use ($statement): void {
        foreach (range($from, $to) as $key) {
            $statement->execute(['id' => $key]);
            expect($statement->fetchAll(PDO::FETCH_NUM), [[$key, "owner $key"]], "account $key");
        }
    };
    $read(1, 20);
    $other->exec('ALTER TABLE accounts ADD COLUMN added integer DEFAULT 5');
    $read(21, 40);
    $other->exec('ALTER TABLE accounts DROP COLUMN added');
    $read(41, 60);
    // Its end sends DEALLOCATE.
    unset($statement);
    expect(rows($pdo, 'SELECT owner FROM accounts WHERE id = ?', [5]), [['owner 5']], 'after it');
}

function check_pipeline(): void
{
    throw new Absent('PDO sends one statement at a time');
}

function check_copy(): void
{
    $pdo = connect();
    $notes = [null, '', "tab\tline\nback\\slash", '\\N', 'ü世😀', 'quote " and, comma'];
    $rows = [];
    foreach (range(0, COPY_ROWS - 1) as $n) {
        $rows[] = [30000 + $n, "copied $n", sprintf('%d.%02d', intdiv($n, 100), $n % 100), $notes[$n % 6]];
    }
    $escape = fn ($value) => $value === null ? '\\N' : addcslashes((string) $value, "\\\t\n");
    $lines = array_map(fn ($row) => implode("\t", array_map($escape, $row)) . "\n", $rows);
    $fields = 'id, owner, balance, note';
    $selected = "SELECT $fields FROM accounts WHERE id >= 30000 ORDER BY id";
    $pdo->beginTransaction();
    expect($pdo->pgsqlCopyFromArray('accounts', $lines, "\t", '\\\\N', $fields), true, 'copied in');
    expect(rows($pdo, $selected), $rows, 'what is there');
    $read = $pdo->pgsqlCopyToArray("($selected)", "\t", '\\\\N');
    expect($read, $lines, 'copied out');
    $pdo->rollBack();
    $wrong = ["30000\tgood\t1\t\\N\n", "30001\tbad\tnot a number\t\\N\n"];
    fails('22P02', fn () => $pdo->pgsqlCopyFromArray('accounts', $wrong, "\t", '\\\\N', $fields));
    expect(rows($pdo, $selected), [], 'nothing of what failed');
}

function check_cursor(): void
{
    $pdo = connect();
    $sql = 'SELECT id FROM accounts WHERE id <= ? ORDER BY id';
    $pdo->beginTransaction();
    // A scrollable statement is a cursor of the server.
    $statement = $pdo->prepare($sql, [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    $statement->execute([ACCOUNTS]);
    $read = [];
    while (($row = $statement->fetch(PDO::FETCH_NUM)) !== false) {
        $read[] = $row[0];
    }
    expect($read, range(1, ACCOUNTS), 'row by row');
    $row = $statement->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 500);
    expect($row, [500], 'the 500th');
    expect($statement->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_PRIOR), [499], 'the one before');
    $statement->closeCursor();
    $pdo->commit();
}

function check_cancel(): void
{
    throw new Absent('PDO cannot cancel a statement');
}

function check_transactions(): void
{
    [$pdo, $other] = [connect(), connect()];
    $first = 50000;
    $insert = fn (int $n, string $owner) =>
        rows($pdo, 'INSERT INTO accounts (id, owner) VALUES (?, ?)', [$first + $n, $owner]);
    $present = fn (PDO $on) => array_map(
        fn ($row) => $row[0] - $first,
        rows($on, 'SELECT id FROM accounts WHERE id BETWEEN ? AND ? ORDER BY id', [$first, $first + 999]),
    );
    $pdo->beginTransaction();
    foreach (range(0, 15) as $n) {
        $insert($n, 'committed');
    }
    expect($present($other), [], 'before the commit');
    $pdo->commit();
    expect($present($other), range(0, 15), 'after the commit');
    $pdo->beginTransaction();
    rows($pdo, 'DELETE FROM accounts WHERE id BETWEEN ? AND ?', [$first, $first + 999]);
    expect($present($pdo), [], 'within the transaction');
    $pdo->rollBack();
    expect($present($other), range(0, 15), 'after the rollback');
    $pdo->beginTransaction();
    $insert(20, 'outer');
    $pdo->exec('SAVEPOINT DOCTRINE_2');
    foreach (range(30, 45) as $n) {
        $insert($n, 'inner');
    }
    fails('23505', fn () => $insert(0, 'there already'));
    fails('25P02', fn () => $pdo->exec('SELECT 1'));
    expect($pdo->inTransaction(), true, 'the status after an error');
    $pdo->exec('ROLLBACK TO SAVEPOINT DOCTRINE_2');
    $pdo->commit();
    expect($present($other), [...range(0, 15), 20], 'after a savepoint and the commit');
}

function check_listen(): void
{
    [$pdo, $other] = [connect(), connect()];
    $pdo->exec('LISTEN matrix');
    $other->exec("NOTIFY matrix, 'from another'");
    $heard = $pdo->pgsqlGetNotify(PDO::FETCH_ASSOC, 10000);
    expect([$heard['message'], $heard['payload']], ['matrix', 'from another'], 'a notification');
}

function check_errors(): void
{
    $pdo = connect();
    foreach (range(1, 16) as $key) {
        $insert = fn () => rows($pdo, "INSERT INTO accounts (id, owner) VALUES (?, '')", [$key]);
        // PDO tells the message and not its fields.
        $message = fails('23505', $insert)->getMessage();
        expect(str_contains($message, '"accounts_pkey"'), true, $message);
        expect(str_contains($message, "Key (id)=($key) already exists."), true, $message);
    }
    $message = fails('42601', fn () => $pdo->exec('SELECT * FORM accounts'))->getMessage();
    expect(str_contains($message, 'LINE 1: SELECT * FORM accounts'), true, $message);
    fails('22P02', fn () => rows($pdo, 'SELECT * FROM accounts WHERE id = ?', ['x']));
    expect(rows($pdo, 'SELECT owner FROM accounts WHERE id = 1'), [['owner 1']], 'after them');
}

function check_reconnect(): void
{
    $pdo = connect();
    $pdo->exec("SET idle_in_transaction_session_timeout = '100ms'");
    $pdo->exec('BEGIN');
    // What a session has on one server alone.
    $pdo->exec('CREATE TEMPORARY TABLE of_this_session (n integer)');
    usleep(600_000);
    try {
        $pdo->exec('SELECT 1');
    } catch (PDOException) {
        $another = connect();
        expect(rows($another, 'SELECT owner FROM accounts WHERE id = 9'), [['owner 9']], 'a new one');
        return;
    }
    throw new UnexpectedValueException('the server did not close the connection');
}

function check_large(): void
{
    $pdo = connect();
    $text = str_repeat('0123456789abcdef', 65536);
    $pdo->beginTransaction();
    rows($pdo, "INSERT INTO accounts (id, owner, note) VALUES (?, '', ?)", [70000, $text]);
    $note = rows($pdo, 'SELECT note FROM accounts WHERE id = ?', [70000])[0][0];
    expect($note === $text, true, 'the text of 1 MB');
    $pdo->rollBack();
    $read = array_column(rows($pdo, 'SELECT n FROM generate_series(1, 100000) AS n'), 0);
    expect($read === range(1, 100000), true, '100,000 rows');
    $sql = 'SELECT id FROM accounts, generate_series(1, 100) WHERE id <= ?';
    expect(count(rows($pdo, $sql, [ACCOUNTS])), 100000, '100,000 rows of a scatter');
}

function check_emulated_prepares(): void
{
    $pdo = connect([PDO::ATTR_EMULATE_PREPARES => true]);
    $statement = $pdo->prepare('SELECT owner FROM accounts WHERE id = :id AND owner <> :other');
    foreach (range(1, 20) as $key) {
        $statement->execute(['id' => $key, 'other' => "it's"]);
        expect($statement->fetchAll(PDO::FETCH_NUM), [["owner $key"]], "account $key");
    }
    $pdo->exec("INSERT INTO accounts (id, owner) VALUES (80001, 'a'); DELETE FROM accounts WHERE id = 80001");
    expect(rows($pdo, 'SELECT count(*) FROM accounts WHERE id = ?', [80001]), [[0]], 'several statements');
    $pdo->setAttribute(PDO::PGSQL_ATTR_DISABLE_PREPARES, true);
    $pdo->setAttribute(PDO::ATTR_EMULATE_PREPARES, false);
    expect(rows($pdo, 'SELECT owner FROM accounts WHERE id = ?', [3]), [['owner 3']], 'an unnamed statement');
}

function check_last_insert_id(): void
{
    $pdo = connect();
    $pdo->beginTransaction();
    $before = 0;
    foreach (range(1, 16) as $key) {
        rows($pdo, 'INSERT INTO entries (account_id, amount) VALUES (?, ?)', [$key, '1.50']);
        $id = (int) $pdo->lastInsertId();
        expect($id > $before, true, "an id after $before: $id");
        expect((int) $pdo->lastInsertId('entries_id_seq'), $id, 'by the name of the sequence');
        $read = rows($pdo, 'SELECT amount FROM entries WHERE account_id = ? AND id = ?', [$key, $id]);
        expect($read, [['1.50']], 'the row of that id');
        $before = $id;
    }
    $pdo->rollBack();
}

pcntl_async_signals(true);
pcntl_signal(SIGALRM, fn () => throw new RuntimeException('no end after ' . CHECK_SECONDS . ' s'));
$checks = ['connect', 'types-text', 'types-binary', 'prepared', 'pipeline', 'copy', 'cursor', 'cancel',
    'transactions', 'listen', 'errors', 'reconnect', 'large', 'emulated-prepares', 'last-insert-id'];
foreach ($checks as $check) {
    if ($argc > 1 && !in_array($check, $argv, true)) {
        continue;
    }
    $result = ['outcome' => 'passed'];
    pcntl_alarm(CHECK_SECONDS);
    try {
        ('check_' . strtr($check, '-', '_'))();
    } catch (Absent $absent) {
        $result = ['outcome' => 'absent', 'detail' => $absent->getMessage()];
    } catch (Throwable $error) {
        fwrite(STDERR, "$error\n");
        $result = ['outcome' => 'failed', 'detail' => substr($error->getMessage(), 0, 500)];
    }
    pcntl_alarm(0);
    echo json_encode(['check' => $check] + $result, JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}
