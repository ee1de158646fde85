# frozen_string_literal: true

# ruby-pg: the common checks. libpq reads the rest of each connection from the environment.
require "bigdecimal"
require "json"
require "pg"
require "timeout"

ACCOUNTS = 1000
KEYS = (1..16).to_a
COPY_ROWS = 5000
CHECK_SECONDS = 40

TEXTS = {
  "a_boolean" => "t",
  "a_smallint" => "-32768",
  "an_integer" => "2147483647",
  "a_bigint" => "-9223372036854775808",
  "a_numeric" => "12345678901234567890.0123456789",
  "a_real" => "1.5",
  "a_double" => "0.1",
  "a_text" => "grüße, 世界 😀 'quoted' \\ \"double\"\nline",
  "a_varchar" => "varying",
  "a_char" => "fix  ",
  "a_bytea" => "\\x0001feff275c",
  "a_date" => "2024-02-29",
  "a_time" => "23:59:59.123456",
  "a_timetz" => "12:30:00+02",
  "a_timestamp" => "2024-02-29 12:34:56.789012",
  "a_timestamptz" => "2024-02-29 10:34:56.789012+00",
  "an_interval" => "3 days 04:05:06.789",
  "a_uuid" => "c8f1b7f0-3d6e-4f0b-9f43-6f5a9c1f2d3e",
  "a_json" => '{"a": [1, 2.5, null], "b": "x"}',
  "a_jsonb" => '{"a": [1, 2.5, null], "b": "x"}',
  "integers" => "{1,NULL,-3}",
  "texts" => '{plain,"with, comma",NULL,"quote\"d"}',
  "an_inet" => "192.168.1.5/24",
  "a_cidr" => "10.0.0.0/8",
  "a_macaddr" => "08:00:2b:01:02:03",
  "a_bit" => "10101010",
  "a_varbit" => "10111",
  "a_point" => "(1.5,-2)",
  "an_int4range" => "[1,10)",
  "a_tstzrange" => '["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")',
  "an_xml" => "<a><b>1</b></a>",
  "a_money" => "$1,234.56",
  "a_mood" => "happy",
  "a_posint" => "7",
  "a_comp" => '(3,"a ""b"", c")'
}.freeze

class Different < StandardError; end

class RolledBack < StandardError; end

def expect(actual, expected, what)
  return if actual == expected

  raise Different, "#{what}: #{actual.inspect[0, 200]}, expected #{expected.inspect[0, 200]}"
end

def with_connection(**more)
  connection = PG.connect(options: "-c TimeZone=UTC", **more)
  yield connection
ensure
  connection&.close unless connection&.finished?
end

def rolled_back(connection, &block)
  connection.transaction(&block)
rescue RolledBack
  nil
end

def fails(sqlstate)
  yield
rescue PG::Error => e
  expect(e.result&.error_field(PG::Result::PG_DIAG_SQLSTATE), sqlstate, "the SQLSTATE of #{e}")
  e.result
else
  raise Different, "no error, expected #{sqlstate}"
end

def rows_of(connection, sql, *values)
  connection.exec_params(sql, values).values
end

@checks = {}

def check(name, &block)
  @checks[name] = block
end

check "connect" do
  with_connection(application_name: "matrix") do |connection|
    expect(connection.ssl_in_use?, true, "TLS in use")
    expect(connection.server_version >= 140_000, true, "the server's version")
    row = rows_of(connection, "SELECT current_user, current_database(), current_setting('application_name')")
    expect(row, [[ENV.fetch("PGUSER"), ENV.fetch("PGDATABASE"), "matrix"]], "who and where")
    expect(connection.parameter_status("TimeZone"), "UTC", "its parameter status")
  end
  begin
    with_connection(password: "not it") { raise Different, "connected with a wrong password" }
  rescue PG::ConnectionBad => e
    expect(e.message.include?("password authentication failed"), true, e.message)
  end
end

check "types-text" do
  with_connection do |connection|
    columns = TEXTS.keys
    marks = (2..columns.size + 1).map { |n| "$#{n}" }
    insert = "INSERT INTO every_type (id, #{columns.join(', ')}) VALUES ($1, #{marks.join(', ')})"
    nulls = [nil] * columns.size
    KEYS.each { |key| connection.exec_params(insert, [key, *(key.even? ? TEXTS.values : nulls)]) }
    select = "SELECT #{columns.join(', ')} FROM every_type"
    KEYS.each do |key|
      row = rows_of(connection, "#{select} WHERE id = $1", key).first
      expected = key.even? ? TEXTS.values : nulls
      columns.zip(row, expected) { |column, got, want| expect(got, want, "#{column} of #{key}") }
    end
    expect(rows_of(connection, "#{select} ORDER BY id"), [nulls, TEXTS.values] * 8, "of all placements")
  end
end

check "types-binary" do
  with_connection do |connection|
    since_2000 = (Time.utc(2024, 2, 29, 10, 34, 56.789012r) - Time.utc(2000)) * 1_000_000
    # The value, its type and how it is packed.
    values = {
      "a_boolean" => [true, 16, "\x01".b],
      "a_smallint" => [-32_768, 21, [-32_768].pack("s>")],
      "an_integer" => [2_147_483_647, 23, [2_147_483_647].pack("l>")],
      "a_bigint" => [-9_223_372_036_854_775_808, 20, [-9_223_372_036_854_775_808].pack("q>")],
      "a_real" => [1.5, 700, [1.5].pack("g")],
      "a_double" => [0.1, 701, [0.1].pack("G")],
      "a_text" => [TEXTS["a_text"], 25, TEXTS["a_text"]],
      "a_bytea" => ["\x00\x01\xfe\xff'\\".b, 17, "\x00\x01\xfe\xff'\\".b],
      "a_timestamptz" => [Time.utc(2024, 2, 29, 10, 34, 56.789012r), 1184, [since_2000.to_i].pack("q>")]
    }
    columns = values.keys
    marks = (2..columns.size + 1).map { |n| "$#{n}" }
    insert = "INSERT INTO every_type (id, #{columns.join(', ')}) VALUES ($1, #{marks.join(', ')})"
    parameters = values.values.map { |_, oid, packed| { value: packed, type: oid, format: 1 } }
    keys = KEYS.map { |key| key + 100 }
    nulls = [nil] * columns.size
    keys.each { |key| connection.exec_params(insert, [key, *(key.even? ? parameters : nulls)]) }
    # The map reads pg_type for its decoders.
    map = PG::BasicTypeMapForResults.new(connection)
    expected = values.values.map(&:first)
    select = "SELECT id, #{columns.join(', ')} FROM every_type WHERE id"
    keys.each do |key|
      result = connection.exec_params("#{select} = $1", [key], 1).map_types!(map)
      expect(result.values, [[key, *(key.even? ? expected : nulls)]], "the row of #{key}")
    end
    result = connection.exec_params("#{select} > 100 ORDER BY id", [], 1).map_types!(map)
    expect(result.values, keys.map { |key| [key, *(key.even? ? expected : nulls)] }, "of all placements")
  end
end

check "prepared" do
  with_connection do |connection|
    with_connection do |other|
      result = connection.prepare("read one", "SELECT id, owner FROM accounts WHERE id = $1")
      expect(result.result_status, PG::PGRES_COMMAND_OK, "prepared")
      described = connection.describe_prepared("read one")
      expect([described.nparams, described.paramtype(0), described.fields], [1, 20, %w[id owner]], "described")
      read = lambda do |keys|
        keys.each do |key|
          got = connection.exec_prepared("read one", [key]).values
          expect(got, [[key.to_s, "owner #{key}"]], "account #{key}")
        end
      end
      read.call(1..20)
      other.exec("ALTER TABLE accounts ADD COLUMN added integer DEFAULT 5")
      read.call(21..40)
      other.exec("ALTER TABLE accounts DROP COLUMN added")
      read.call(41..60)
      connection.exec('DEALLOCATE "read one"')
      fails("26000") { connection.exec_prepared("read one", [1]) }
    end
  end
end

check "pipeline" do
  with_connection do |connection|
    connection.enter_pipeline_mode
    KEYS.each { |key| connection.send_query_params("SELECT owner FROM accounts WHERE id = $1", [key]) }
    connection.send_query_params("SELECT 1 / $1::integer", [0])
    connection.send_query_params("SELECT 1", [])
    connection.pipeline_sync
    connection.send_query_params("SELECT count(*) FROM accounts WHERE id <= $1", [ACCOUNTS])
    connection.pipeline_sync
    take = lambda do
      result = connection.get_result
      connection.get_result unless result.result_status == PG::PGRES_PIPELINE_SYNC
      result
    end
    KEYS.each { |key| expect(take.call.values, [["owner #{key}"]], "account #{key}") }
    expect(take.call.error_field(PG::Result::PG_DIAG_SQLSTATE), "22012", "the error in the middle")
    expect(take.call.result_status, PG::PGRES_PIPELINE_ABORTED, "what follows is skipped")
    expect(take.call.result_status, PG::PGRES_PIPELINE_SYNC, "up to the sync")
    expect(take.call.values, [[ACCOUNTS.to_s]], "what is behind it is answered")
    expect(take.call.result_status, PG::PGRES_PIPELINE_SYNC, "the second sync")
    connection.exit_pipeline_mode
  end
end

check "copy" do
  with_connection do |connection|
    notes = [nil, "", "tab\tline\nback\\slash", "\\N", "ü世😀", 'quote " and, comma']
    rows = (0...COPY_ROWS).map { |n| [(30_000 + n).to_s, "copied #{n}", format("%.2f", n / 100r), notes[n % 6]] }
    target = "accounts (id, owner, balance, note)"
    selected = "SELECT id, owner, balance, note FROM accounts WHERE id >= 30000 ORDER BY id"
    encoder = PG::TextEncoder::CopyRow.new
    rolled_back(connection) do
      result = connection.copy_data("COPY #{target} FROM STDIN", encoder) do
        rows.each { |row| connection.put_copy_data(row) }
      end
      expect(result.cmd_tuples, COPY_ROWS, "rows copied in")
      expect(connection.exec(selected).values, rows, "what is there")
      read = []
      connection.copy_data("COPY (#{selected}) TO STDOUT", PG::TextDecoder::CopyRow.new) do
        while (row = connection.get_copy_data)
          read << row
        end
      end
      expect(read, rows, "rows copied out")
      raise RolledBack
    end
    result = fails("22P02") do
      connection.copy_data("COPY #{target} FROM STDIN") do
        connection.put_copy_data("30000\tgood\t1\t\\N\n30001\tbad\tnot a number\t\\N\n")
      end
    end
    context = result.error_field(PG::Result::PG_DIAG_CONTEXT)
    expect(context.include?("line 2"), true, "the line in #{context}")
    expect(connection.exec(selected).ntuples, 0, "nothing of what failed")
  end
end

check "cursor" do
  with_connection do |connection|
    connection.transaction do
      connection.exec("DECLARE all_of_them CURSOR FOR SELECT id FROM accounts WHERE id <= #{ACCOUNTS} ORDER BY id")
      read = []
      loop do
        piece = connection.exec("FETCH 150 FROM all_of_them").column_values(0)
        break if piece.empty?

        read.concat(piece)
      end
      expect(read, (1..ACCOUNTS).map(&:to_s), "150 at a time")
      connection.exec("CLOSE all_of_them")
    end
  end
end

check "cancel" do
  with_connection do |connection|
    ["SELECT pg_sleep(20)", "SELECT count(*) FROM accounts WHERE pg_sleep(id * 0.1) IS NOT NULL"].each do |sql|
      connection.send_query(sql)
      sleep 0.5
      expect(connection.cancel, nil, "the cancel request")
      fails("57014") { connection.get_last_result }
      expect(connection.exec("SELECT 1").values, [["1"]], "the connection goes on")
    end
  end
end

check "transactions" do
  first = 50_000
  insert = "INSERT INTO accounts (id, owner) VALUES ($1, $2)"
  present = lambda do |connection|
    rows_of(connection, "SELECT id - $1 FROM accounts WHERE id >= $1 AND id < $1 + 1000 ORDER BY id", first)
      .map { |row| row.first.to_i }
  end
  with_connection do |connection|
    with_connection do |other|
      connection.transaction do
        16.times { |n| connection.exec_params(insert, [first + n, "committed"]) }
        expect(present.call(other), [], "before the commit")
      end
      expect(present.call(other), (0..15).to_a, "after the commit")
      rolled_back(connection) do
        connection.exec_params("DELETE FROM accounts WHERE id >= $1 AND id < $1 + 1000", [first])
        expect(present.call(connection), [], "within the transaction")
        raise RolledBack
      end
      expect(present.call(other), (0..15).to_a, "after the rollback")
      connection.exec("BEGIN")
      connection.exec_params(insert, [first + 20, "outer"])
      connection.exec("SAVEPOINT active_record_1")
      16.times { |n| connection.exec_params(insert, [first + 30 + n, "inner"]) }
      fails("23505") { connection.exec_params(insert, [first, "there already"]) }
      expect(connection.transaction_status, PG::PQTRANS_INERROR, "the status after an error")
      fails("25P02") { connection.exec("SELECT 1") }
      connection.exec("ROLLBACK TO SAVEPOINT active_record_1")
      connection.exec("COMMIT")
      expect(present.call(other), [*0..15, 20], "after the rollback to a savepoint and the commit")
      connection.exec("BEGIN READ ONLY")
      fails("25006") { connection.exec_params(insert, [first + 99, "read only"]) }
      connection.exec("ROLLBACK")
    end
  end
end

check "listen" do
  with_connection do |connection|
    connection.exec("LISTEN matrix")
    with_connection { |other| other.exec("NOTIFY matrix, 'from another'") }
    heard = nil
    connection.wait_for_notify(10) { |channel, _pid, payload| heard = [channel, payload] }
    expect(heard, ["matrix", "from another"], "a notification")
  end
end

check "errors" do
  with_connection do |connection|
    KEYS.each do |key|
      result = fails("23505") { connection.exec_params("INSERT INTO accounts (id, owner) VALUES ($1, '')", [key]) }
      fields = [PG::Result::PG_DIAG_SCHEMA_NAME, PG::Result::PG_DIAG_TABLE_NAME,
                PG::Result::PG_DIAG_CONSTRAINT_NAME, PG::Result::PG_DIAG_MESSAGE_DETAIL]
      expect(fields.map { |field| result.error_field(field) },
             ["public", "accounts", "accounts_pkey", "Key (id)=(#{key}) already exists."], "the fields of 23505")
    end
    result = fails("42601") { connection.exec("SELECT * FORM accounts") }
    expect(result.error_field(PG::Result::PG_DIAG_STATEMENT_POSITION), "10", "the position")
    fails("22P02") { connection.exec_params("SELECT * FROM accounts WHERE id = $1", ["x"]) }
    heard = []
    connection.set_notice_processor { |message| heard << message }
    connection.exec("DROP TABLE IF EXISTS nowhere")
    expect(heard, ["NOTICE:  table \"nowhere\" does not exist, skipping\n"], "a notice")
    expect(rows_of(connection, "SELECT owner FROM accounts WHERE id = $1", 1), [["owner 1"]], "after them")
  end
end

check "reconnect" do
  with_connection do |connection|
    connection.exec("SET idle_in_transaction_session_timeout = '100ms'")
    connection.exec("BEGIN")
    # What a session has on one server alone.
    connection.exec("CREATE TEMPORARY TABLE of_this_session (n integer)")
    sleep 0.6
    begin
      connection.exec("SELECT 1")
      raise Different, "the server did not close the connection"
    rescue PG::Error
      expect(connection.status, PG::CONNECTION_BAD, "the driver knows that it is closed")
    end
    connection.reset
    expect(rows_of(connection, "SELECT owner FROM accounts WHERE id = $1", 9), [["owner 9"]], "reset")
    expect(rows_of(connection, "SHOW TimeZone"), [["UTC"]], "with the settings it began with")
  end
end

check "large" do
  with_connection do |connection|
    text = "0123456789abcdef" * 65_536
    rolled_back(connection) do
      connection.exec_params("INSERT INTO accounts (id, owner, note) VALUES ($1, '', $2)", [70_000, text])
      note = rows_of(connection, "SELECT note FROM accounts WHERE id = $1", 70_000)
      expect(note == [[text]], true, "the text of 1 MB")
      raise RolledBack
    end
    ["SELECT n FROM generate_series(1, 100000) AS n",
     "SELECT 1 FROM accounts, generate_series(1, 100) WHERE id <= #{ACCOUNTS}"].each do |sql|
      connection.send_query(sql)
      connection.set_single_row_mode
      count = 0
      connection.get_result.stream_each_row { count += 1 }
      expect(connection.get_result, nil, "the end of the results")
      expect(count, 100_000, "rows, one by one: #{sql}")
    end
  end
end

$stdout.sync = true
@checks.each do |name, block|
  next unless ARGV.empty? || ARGV.include?(name)

  result = begin
    Timeout.timeout(CHECK_SECONDS, &block)
    { outcome: "passed" }
  rescue StandardError => e
    warn e.full_message
    { outcome: "failed", detail: "#{e.class}: #{e.message}"[0, 500] }
  end
  puts JSON.generate({ check: name, **result })
end
