// lib/pq as its users have it: beneath database/sql, with its COPY and its Listener.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"colonnade/compat/check"

	"github.com/lib/pq"
)

func main() {
	check.Run(
		check.Check{ID: "connect", Run: connects},
		check.Check{ID: "types-text", Run: typesAsText},
		check.Check{ID: "types-binary", Run: typesAsBinary},
		check.Check{ID: "prepared", Run: prepared},
		check.Check{ID: "pipeline", Run: func(_ context.Context, t *check.T) {
			t.Absent("lib/pq waits for each answer; it has neither pipelines nor batches")
		}},
		check.Check{ID: "copy", Run: copies},
		check.Check{ID: "cursor", Run: cursors},
		check.Check{ID: "cancel", Run: cancels},
		check.Check{ID: "transactions", Run: transactions},
		check.Check{ID: "listen", Run: listens},
		check.Check{ID: "errors", Run: reportsErrors},
		check.Check{ID: "reconnect", Run: reconnects},
		check.Check{ID: "large", Run: large},
		check.Check{ID: "several-statements", Run: severalStatements},
	)
}

// open takes libpq's variables, which lib/pq reads by itself, and more settings in front of them.
func open(t *check.T, more string) *sql.DB {
	connector, err := pq.NewConnector(more)
	t.OK(err, "reading the environment")
	return sql.OpenDB(connector)
}

func connects(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	var version, user, database string
	err := db.QueryRowContext(ctx, "SELECT current_setting('server_version'), current_user, current_database()").
		Scan(&version, &user, &database)
	t.OK(err, "asking for the version")
	t.True(strings.HasPrefix(version, "1"), "a version of PostgreSQL: "+version)
	t.Equal("current_user", user, check.Environment("PGUSER"))
	t.Equal("current_database()", database, check.Environment("PGDATABASE"))
	wrong := open(t, "password=wrong")
	defer wrong.Close()
	t.SQLState("a wrong password", wrong.PingContext(ctx), "28P01")
	// The certificate is of another authority than the machine's own.
	stranger := open(t, "sslrootcert=system")
	defer stranger.Close()
	err = stranger.PingContext(ctx)
	t.True(err != nil && strings.Contains(err.Error(), "certificate"), fmt.Sprintf("a certificate that is not verified is refused (%v)", err))
}

func prepared(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	connection, err := db.Conn(ctx)
	t.OK(err, "connecting")
	defer connection.Close()
	statement, err := connection.PrepareContext(ctx, "SELECT owner, balance::text FROM accounts WHERE id = $1")
	t.OK(err, "preparing")
	ask := func(id int) {
		var owner, balance string
		t.OK(statement.QueryRowContext(ctx, id).Scan(&owner, &balance), "running it")
		t.Equal("row", []string{owner, balance}, []string{fmt.Sprintf("owner %d", id), "100.00"})
	}
	for id := 1; id <= 20; id++ {
		ask(id)
	}
	exec(ctx, t, db, "ALTER TABLE accounts ADD COLUMN added integer")
	for id := 21; id <= 40; id++ {
		ask(id)
	}
	exec(ctx, t, db, "ALTER TABLE accounts DROP COLUMN added")
	ask(41)
	t.OK(statement.Close(), "closing the statement")
}

type executor interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

func exec(ctx context.Context, t *check.T, on executor, statement string, arguments ...any) int64 {
	result, err := on.ExecContext(ctx, statement, arguments...)
	t.OK(err, statement)
	count, err := result.RowsAffected()
	t.OK(err, "rows affected")
	return count
}

type querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func countOf(ctx context.Context, t *check.T, on querier, condition string, arguments ...any) int {
	var count int
	t.OK(on.QueryRowContext(ctx, "SELECT count(*) FROM accounts WHERE "+condition, arguments...).Scan(&count), "counting")
	return count
}

func transactions(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	begin := func(options *sql.TxOptions) *sql.Tx {
		tx, err := db.BeginTx(ctx, options)
		t.OK(err, "BEGIN")
		return tx
	}
	set := func(tx *sql.Tx, note string) {
		for id := 101; id <= 108; id++ {
			t.Equal("rows updated", exec(ctx, t, tx, "UPDATE accounts SET note = $2 WHERE id = $1", id, note), int64(1))
		}
	}
	tx := begin(nil)
	set(tx, "first")
	t.Equal("seen from outside before the commit", countOf(ctx, t, db, "note = $1", "first"), 0)
	t.Equal("seen from inside", countOf(ctx, t, tx, "note = $1", "first"), 8)
	t.OK(tx.Commit(), "COMMIT")
	t.Equal("committed", countOf(ctx, t, db, "note = $1", "first"), 8)

	tx = begin(nil)
	set(tx, "second")
	t.OK(tx.Rollback(), "ROLLBACK")
	t.Equal("rolled back", countOf(ctx, t, db, "note = $1", "second"), 0)

	tx = begin(nil)
	exec(ctx, t, tx, "UPDATE accounts SET note = 'outer' WHERE id IN (101, 102, 103, 104)")
	exec(ctx, t, tx, "SAVEPOINT s")
	set(tx, "inner")
	_, err := tx.ExecContext(ctx, "INSERT INTO accounts (id, owner) VALUES (105, 'twice')")
	t.SQLState("a duplicate", err, "23505")
	_, err = tx.ExecContext(ctx, "SELECT 1")
	t.SQLState("after an error", err, "25P02")
	exec(ctx, t, tx, "ROLLBACK TO SAVEPOINT s")
	exec(ctx, t, tx, "UPDATE accounts SET note = 'after' WHERE id = 108")
	exec(ctx, t, tx, "RELEASE SAVEPOINT s")
	t.OK(tx.Commit(), "COMMIT")
	t.Equal("outer", countOf(ctx, t, db, "note = 'outer'"), 4)
	t.Equal("inner", countOf(ctx, t, db, "note = 'inner'"), 0)
	t.Equal("after", countOf(ctx, t, db, "note = 'after'"), 1)

	tx = begin(&sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	_, err = tx.ExecContext(ctx, "UPDATE accounts SET note = 'no' WHERE id = 101")
	t.SQLState("a write of a read-only transaction", err, "25006")
	t.True(tx.Commit() != nil, "COMMIT of a failed transaction is an error")
	t.Equal("the connection goes on", countOf(ctx, t, db, "id = 101"), 1)
}

func reportsErrors(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	db.SetMaxOpenConns(1)
	fails := func(state, statement string, arguments ...any) *pq.Error {
		_, err := db.ExecContext(ctx, statement, arguments...)
		t.SQLState(statement, err, state)
		var failure *pq.Error
		t.True(errors.As(err, &failure), "an error of lib/pq")
		return failure
	}
	for id := 1; id <= 8; id++ {
		unique := fails("23505", "INSERT INTO accounts (id, owner) VALUES ($1, 'twice')", id)
		t.Equal("fields", []string{unique.Schema, unique.Table, unique.Constraint, unique.Detail},
			[]string{"public", "accounts", "accounts_pkey", fmt.Sprintf("Key (id)=(%d) already exists.", id)})
		missing := fails("23502", "INSERT INTO accounts (id) VALUES ($1)", id+50_000)
		t.Equal("fields", []string{missing.Schema, missing.Table, missing.Column}, []string{"public", "accounts", "owner"})
	}
	t.Equal("position of a syntax error", fails("42601", "SELECT id FROM accounts WHERE id = 1 ODER BY id").Position, "38")
	t.Equal("position of an unknown column", fails("42703", "SELECT 'ü', nothing FROM accounts WHERE id = 1").Position, "13")
	fails("22P02", "SELECT 'x'::integer")
	fails("22P02", "SELECT owner FROM accounts WHERE id = $1", "x")
	fails("22012", "SELECT id / 0 FROM accounts")
	t.Equal("the connection goes on", countOf(ctx, t, db, "id <= 1000"), 1000)
}

func reconnects(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	db.SetMaxOpenConns(1)
	for range 3 {
		losesConnection(ctx, t, db)
		var owner string
		var note sql.NullString
		t.OK(db.QueryRowContext(ctx, "SELECT owner, note FROM accounts WHERE id = 77").Scan(&owner, &note), "the pool's next query")
		t.Equal("owner", owner, "owner 77")
		t.True(!note.Valid, "what the lost transaction wrote is undone")
	}
}

func losesConnection(ctx context.Context, t *check.T, db *sql.DB) {
	tx, err := db.BeginTx(ctx, nil)
	t.OK(err, "BEGIN")
	defer func() { _ = tx.Rollback() }()
	exec(ctx, t, tx, "SET LOCAL idle_in_transaction_session_timeout = 100")
	exec(ctx, t, tx, "UPDATE accounts SET note = 'lost' WHERE id = 77")
	time.Sleep(400 * time.Millisecond)
	_, err = tx.ExecContext(ctx, "UPDATE accounts SET note = 'lost' WHERE id = 77")
	t.True(err != nil, "the transaction is lost")
}

// severalStatements is the simple protocol: one text, one implicit transaction, several results.
func severalStatements(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	exec(ctx, t, db, "UPDATE accounts SET note = 'several' WHERE id IN (3, 4); UPDATE accounts SET note = 'several' WHERE id IN (5, 6)")
	rows, err := db.QueryContext(ctx, "SELECT owner FROM accounts WHERE id = 3; SELECT count(*) FROM accounts WHERE note = 'several'")
	t.OK(err, "two queries")
	defer rows.Close()
	var owner string
	t.True(rows.Next(), "the first has a row")
	t.OK(rows.Scan(&owner), "reading it")
	t.Equal("owner", owner, "owner 3")
	t.True(!rows.Next(), "the first has one row")
	t.True(rows.NextResultSet() && rows.Next(), "the second has a row")
	var count int
	t.OK(rows.Scan(&count), "reading it")
	t.Equal("count", count, 4)
	t.True(!rows.Next() && !rows.NextResultSet(), "there is no third")
	t.OK(rows.Err(), "reading the results")
	_, err = db.ExecContext(ctx, "UPDATE accounts SET note = 'undone' WHERE id IN (3, 4, 5, 6); SELECT 1 / 0")
	t.SQLState("an error in the second", err, "22012")
	t.Equal("the first is undone", countOf(ctx, t, db, "note = 'undone'"), 0)
}
