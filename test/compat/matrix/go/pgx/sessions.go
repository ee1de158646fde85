package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"colonnade/compat/check"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

func transactions(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	other, otherDone := connect(ctx, t)
	defer otherDone()
	exec := func(tx pgx.Tx, statement string) {
		_, err := tx.Exec(ctx, statement)
		t.OK(err, statement)
	}
	set := func(tx pgx.Tx, note string) {
		for id := int64(101); id <= 108; id++ {
			_, err := tx.Exec(ctx, "UPDATE accounts SET note = $2 WHERE id = $1", id, note)
			t.OK(err, "updating")
		}
	}
	noted := func(note string) int64 { return countOf(ctx, t, other, "note = '"+note+"'") }

	t.OK(pgx.BeginFunc(ctx, connection, func(tx pgx.Tx) error {
		set(tx, "first")
		t.Equal("seen from outside before the commit", noted("first"), int64(0))
		t.Equal("seen from inside", countOf(ctx, t, connection, "note = 'first'"), int64(8))
		return nil
	}), "a transaction over several placements")
	t.Equal("committed", noted("first"), int64(8))

	changedMind := errors.New("changed my mind")
	err := pgx.BeginFunc(ctx, connection, func(tx pgx.Tx) error {
		set(tx, "second")
		return changedMind
	})
	t.True(errors.Is(err, changedMind), "the function's own error comes back")
	t.Equal("rolled back", noted("second"), int64(0))

	// Nested transactions are savepoints.
	t.OK(pgx.BeginFunc(ctx, connection, func(tx pgx.Tx) error {
		exec(tx, "UPDATE accounts SET note = 'outer' WHERE id IN (101, 102, 103, 104)")
		err := pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
			set(inner, "inner")
			_, err := inner.Exec(ctx, "INSERT INTO accounts (id, owner) VALUES (105, 'twice')")
			return err
		})
		t.SQLState("the inner transaction", err, "23505")
		exec(tx, "UPDATE accounts SET note = 'after' WHERE id = 108")
		return pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
			exec(inner, "UPDATE accounts SET note = 'inner kept' WHERE id = 107")
			return nil
		})
	}), "a transaction with savepoints")
	t.Equal("outer", noted("outer"), int64(4))
	t.Equal("inner", noted("inner"), int64(0))
	t.Equal("after", noted("after"), int64(1))
	t.Equal("inner kept", noted("inner kept"), int64(1))

	tx, err := connection.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly})
	t.OK(err, "BEGIN READ ONLY")
	_, err = tx.Exec(ctx, "UPDATE accounts SET note = 'no' WHERE id = 101")
	t.SQLState("a write of a read-only transaction", err, "25006")
	_, err = tx.Exec(ctx, "SELECT 1")
	t.SQLState("after an error", err, "25P02")
	t.True(errors.Is(tx.Commit(ctx), pgx.ErrTxCommitRollback), "COMMIT of a failed transaction is ROLLBACK")
	t.Equal("status", string(connection.PgConn().TxStatus()), "I")
}

func listens(ctx context.Context, t *check.T) {
	listener, done := connect(ctx, t)
	defer done()
	other, otherDone := connect(ctx, t)
	defer otherDone()
	_, err := listener.Exec(ctx, `LISTEN "News of accounts"`)
	t.OK(err, "LISTEN")
	notify := func(payload string) {
		_, err := other.Exec(ctx, "SELECT pg_notify('News of accounts', $1)", payload)
		t.OK(err, "pg_notify")
	}
	wait := func() string {
		notification, err := listener.WaitForNotification(ctx)
		t.OK(err, "waiting")
		t.Equal("channel", notification.Channel, "News of accounts")
		return notification.Payload
	}
	_, err = other.Exec(ctx, `NOTIFY "News of accounts", 'grüße'`)
	t.OK(err, "NOTIFY")
	t.Equal("payload", wait(), "grüße")
	// Those of a transaction come when it commits, in their order; those of one that does not, never.
	_, err = other.Exec(ctx, "BEGIN")
	t.OK(err, "BEGIN")
	notify("never")
	_, err = other.Exec(ctx, "ROLLBACK")
	t.OK(err, "ROLLBACK")
	_, err = other.Exec(ctx, "BEGIN")
	t.OK(err, "BEGIN")
	notify("one")
	notify("two")
	early, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	_, err = listener.WaitForNotification(early)
	stop()
	t.True(err != nil && pgconn.Timeout(err), "nothing comes before the commit")
	_, err = other.Exec(ctx, "COMMIT")
	t.OK(err, "COMMIT")
	t.Equal("payload", wait(), "one")
	t.Equal("payload", wait(), "two")
	t.Equal("a query in between", countOf(ctx, t, listener, "id <= 10"), int64(10))
	_, err = listener.Exec(ctx, "UNLISTEN *")
	t.OK(err, "UNLISTEN")
	notify("nobody listens")
	silent, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	_, err = listener.WaitForNotification(silent)
	stop()
	t.True(err != nil && pgconn.Timeout(err), "nothing comes after UNLISTEN")
}

func reportsErrors(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	fails := func(state, statement string, arguments ...any) *pgconn.PgError {
		_, err := connection.Exec(ctx, statement, arguments...)
		t.SQLState(statement, err, state)
		return pgError(t, err)
	}
	// On every placement, whatever the table's schema is called there.
	for id := int64(1); id <= 8; id++ {
		unique := fails("23505", "INSERT INTO accounts (id, owner) VALUES ($1, 'twice')", id)
		t.Equal("schema, table, constraint", []string{unique.SchemaName, unique.TableName, unique.ConstraintName}, []string{"public", "accounts", "accounts_pkey"})
		t.Equal("detail", unique.Detail, fmt.Sprintf("Key (id)=(%d) already exists.", id))
		missing := fails("23502", "INSERT INTO accounts (id) VALUES ($1)", id+50_000)
		t.Equal("column", []string{missing.SchemaName, missing.TableName, missing.ColumnName}, []string{"public", "accounts", "owner"})
		foreign := fails("23503", "INSERT INTO entries (account_id, amount) VALUES ($1, 1)", id+50_000)
		t.Equal("foreign key", []string{foreign.SchemaName, foreign.TableName, foreign.ConstraintName}, []string{"public", "entries", "entries_account_id_fkey"})
	}
	t.Equal("position of a syntax error", fails("42601", "SELECT id FROM accounts WHERE id = 1 ODER BY id").Position, int32(38))
	t.Equal("position of an unknown table", fails("42P01", "SELECT 1 FROM nothing_of_this_name").Position, int32(15))
	t.Equal("position of an unknown column", fails("42703", "SELECT 'ü', nothing FROM accounts WHERE id = 1").Position, int32(13))
	fails("22P02", "SELECT 'x'::integer")
	fails("22012", "SELECT id / 0 FROM accounts")
	fails("22003", "UPDATE accounts SET balance = $2 WHERE id = $1", int64(1), "12345678901234567890")
	t.Equal("the connection goes on", countOf(ctx, t, connection, "id <= 1000"), int64(1000))
}

func pgError(t *check.T, err error) *pgconn.PgError {
	var failure *pgconn.PgError
	t.True(errors.As(err, &failure), "an error of the server")
	return failure
}

func newPool(ctx context.Context, t *check.T, connections int32) *pgxpool.Pool {
	config, err := pgxpool.ParseConfig("")
	t.OK(err, "reading the environment")
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	t.OK(err, "making a pool")
	return pool
}

// reconnects has the server end the pool's only connection, by a timeout that PostgreSQL ends connections for.
func reconnects(ctx context.Context, t *check.T) {
	pool := newPool(ctx, t, 1)
	defer pool.Close()
	for range 3 {
		losesConnection(ctx, t, pool)
		var owner string
		var note *string
		t.OK(pool.QueryRow(ctx, "SELECT owner, note FROM accounts WHERE id = 77").Scan(&owner, &note), "the pool's next query")
		t.Equal("owner", owner, "owner 77")
		t.True(note == nil, "what the lost transaction wrote is undone")
	}
}

func losesConnection(ctx context.Context, t *check.T, pool *pgxpool.Pool) {
	connection, err := pool.Acquire(ctx)
	t.OK(err, "acquiring")
	defer connection.Release()
	for _, statement := range []string{
		"SET idle_in_transaction_session_timeout = 100",
		"BEGIN",
		"UPDATE accounts SET note = 'lost' WHERE id = 77",
	} {
		_, err = connection.Exec(ctx, statement)
		t.OK(err, statement)
	}
	time.Sleep(400 * time.Millisecond)
	_, err = connection.Exec(ctx, "SELECT 1")
	t.True(err != nil, "the connection is lost")
	t.OneOf("the lost connection's error", pgError(t, err).Code, "25P03", "57P01")
}

func pools(ctx context.Context, t *check.T) {
	pool := newPool(ctx, t, 6)
	defer pool.Close()
	var workers sync.WaitGroup
	faults := make(chan string, 16)
	for worker := range 16 {
		workers.Go(func() {
			for round := range 50 {
				id := int64(1 + (worker*50+round)%1000)
				var owner string
				err := pool.QueryRow(ctx, "SELECT owner FROM accounts WHERE id = $1", id).Scan(&owner)
				if want := fmt.Sprintf("owner %d", id); err != nil || owner != want {
					faults <- fmt.Sprintf("got %q and %v, want %q", owner, err, want)
					return
				}
			}
		})
	}
	workers.Wait()
	close(faults)
	var all []string
	for fault := range faults {
		all = append(all, fault)
	}
	t.Equal("faults", strings.Join(all, "; "), "")
	// What one borrower sets is not seen by the next one that resets it.
	connection, err := pool.Acquire(ctx)
	t.OK(err, "acquiring")
	defer connection.Release()
	_, err = connection.Exec(ctx, "SET application_name = 'borrower'")
	t.OK(err, "SET")
	var name string
	t.OK(connection.QueryRow(ctx, "SHOW application_name").Scan(&name), "SHOW")
	t.Equal("application_name", name, "borrower")
	_, err = connection.Exec(ctx, "DISCARD ALL")
	t.OK(err, "DISCARD ALL")
	t.OK(connection.QueryRow(ctx, "SELECT current_setting('application_name')", pgx.QueryExecModeExec).Scan(&name), "SHOW")
	t.Equal("application_name", name, "")
}
