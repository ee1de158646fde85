package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"colonnade/compat/check"

	"github.com/lib/pq"
)

const copied = 5000

func copies(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	note := "tab\t, newline\n, quote\", backslash \\"
	tx, err := db.BeginTx(ctx, nil)
	t.OK(err, "BEGIN")
	statement, err := tx.PrepareContext(ctx, "COPY accounts (id, owner, note) FROM STDIN")
	t.OK(err, "preparing the COPY")
	for index := range copied {
		_, err := statement.ExecContext(ctx, 10_001+index, fmt.Sprintf("copied %d", index), note)
		t.OK(err, "a row")
	}
	result, err := statement.ExecContext(ctx)
	t.OK(err, "the COPY's end")
	count, err := result.RowsAffected()
	t.OK(err, "rows affected")
	t.Equal("rows copied", count, int64(copied))
	t.OK(statement.Close(), "closing")
	t.Equal("seen from outside before the commit", countOf(ctx, t, db, "id > 10000"), 0)
	t.OK(tx.Commit(), "COMMIT")
	// lib/pq has no COPY TO: the rows are read back by a query.
	rows, err := db.QueryContext(ctx, "SELECT id, owner, note FROM accounts WHERE id > $1 ORDER BY id", 10_000)
	t.OK(err, "selecting")
	defer rows.Close()
	index := 0
	for rows.Next() {
		var id int
		var owner, stored string
		t.OK(rows.Scan(&id, &owner, &stored), "reading")
		t.Equal("row", []any{id, owner, stored}, []any{10_001 + index, fmt.Sprintf("copied %d", index), note})
		index++
	}
	t.OK(rows.Err(), "reading")
	t.Equal("rows", index, copied)

	tx, err = db.BeginTx(ctx, nil)
	t.OK(err, "BEGIN")
	statement, err = tx.PrepareContext(ctx, "COPY accounts (id, owner) FROM STDIN")
	t.OK(err, "preparing the COPY")
	for index := range 100 {
		_, err = statement.ExecContext(ctx, 30_000+index, "good")
		t.OK(err, "a row")
	}
	_, err = statement.ExecContext(ctx, "not a number", "bad")
	t.OK(err, "the bad row")
	_, err = statement.ExecContext(ctx)
	t.SQLState("COPY of a bad row", err, "22P02")
	t.True(strings.Contains(err.(*pq.Error).Where, "line 101"), "the error's line: "+err.(*pq.Error).Where)
	t.OK(tx.Rollback(), "ROLLBACK")
	t.Equal("rows of the failed COPY", countOf(ctx, t, db, "id >= 30000"), 0)
}

func cursors(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	t.OK(err, "BEGIN")
	exec(ctx, t, tx, "DECLARE piece CURSOR FOR SELECT id FROM accounts WHERE id <= 1000 ORDER BY id DESC")
	seen := 0
	for {
		rows, err := tx.QueryContext(ctx, "FETCH 170 FROM piece")
		t.OK(err, "FETCH")
		before := seen
		for rows.Next() {
			var id int
			t.OK(rows.Scan(&id), "reading")
			t.Equal("id", id, 1000-seen)
			seen++
		}
		t.OK(rows.Err(), "reading")
		if seen == before {
			break
		}
		t.Equal("in between", countOf(ctx, t, tx, "id = $1", 1), 1)
	}
	t.Equal("rows", seen, 1000)
	exec(ctx, t, tx, "CLOSE piece")
	t.OK(tx.Commit(), "COMMIT")
}

func cancels(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	db.SetMaxOpenConns(2)
	for _, statement := range []string{"SELECT pg_sleep(30)", "SELECT id, pg_sleep(0.2) FROM accounts WHERE id <= 1000"} {
		untouched := make(chan error, 1)
		go func() {
			_, err := db.ExecContext(ctx, "SELECT pg_sleep(1)")
			untouched <- err
		}()
		impatient, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		begun := time.Now()
		_, err := db.ExecContext(impatient, statement)
		stop()
		t.SQLState(statement, err, "57014")
		t.True(time.Since(begun) < 8*time.Second, "the cancel came at once")
		t.Equal("the pool goes on", countOf(ctx, t, db, "id <= 1000"), 1000)
		t.OK(<-untouched, "another client's statement")
	}
}

func listens(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	faults := make(chan error, 16)
	listener := pq.NewListener("", 100*time.Millisecond, time.Second, func(_ pq.ListenerEventType, err error) {
		if err != nil {
			faults <- err
		}
	})
	defer listener.Close()
	t.OK(listener.Listen("News of accounts"), "LISTEN")
	wait := func() string {
		select {
		case notification := <-listener.Notify:
			t.True(notification != nil, "the connection was not lost")
			t.Equal("channel", notification.Channel, "News of accounts")
			return notification.Extra
		case err := <-faults:
			t.Fail("listening: %v", err)
		case <-ctx.Done():
			t.Fail("no notification came")
		}
		return ""
	}
	exec(ctx, t, db, `NOTIFY "News of accounts", 'grüße'`)
	t.Equal("payload", wait(), "grüße")
	tx, err := db.BeginTx(ctx, nil)
	t.OK(err, "BEGIN")
	exec(ctx, t, tx, "SELECT pg_notify('News of accounts', $1)", "one")
	exec(ctx, t, tx, "SELECT pg_notify('News of accounts', $1)", "two")
	select {
	case notification := <-listener.Notify:
		t.Fail("%v came before the commit", notification)
	case <-time.After(300 * time.Millisecond):
	}
	t.OK(tx.Commit(), "COMMIT")
	t.Equal("payload", wait(), "one")
	t.Equal("payload", wait(), "two")
	t.OK(listener.Ping(), "the listening connection goes on")
	t.OK(listener.Unlisten("News of accounts"), "UNLISTEN")
	exec(ctx, t, db, `NOTIFY "News of accounts", 'nobody'`)
	select {
	case notification := <-listener.Notify:
		t.Fail("%v came after UNLISTEN", notification)
	case <-time.After(300 * time.Millisecond):
	}
}

func large(ctx context.Context, t *check.T) {
	db := open(t, "")
	defer db.Close()
	value := strings.Repeat("0123456789abcdeü", 1<<16)
	exec(ctx, t, db, "UPDATE accounts SET note = $2 WHERE id = $1", 900, value)
	var length int
	var stored string
	t.OK(db.QueryRowContext(ctx, "SELECT note, length(note) FROM accounts WHERE id = $1", 900).Scan(&stored, &length), "reading 1 MB")
	t.True(stored == value, "what was written is what is read")
	t.Equal("length", length, 1<<20)
	rows, err := db.QueryContext(ctx, "SELECT g, 'row ' || g FROM generate_series(1, 100000) AS g")
	t.OK(err, "asking for 100,000 rows")
	defer rows.Close()
	seen := 0
	for rows.Next() {
		seen++
		var number int
		var text string
		t.OK(rows.Scan(&number, &text), "reading")
		t.Equal("row", []any{number, text}, []any{seen, fmt.Sprintf("row %d", seen)})
	}
	t.OK(rows.Err(), "reading")
	t.Equal("rows", seen, 100_000)
}
