package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"strings"
	"time"

	"colonnade/compat/check"

	"github.com/jackc/pgx/v5"
)

const copied = 5000

func copies(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	note := "tab\t, newline\n, quote\", backslash \\"
	rows := pgx.CopyFromSlice(copied, func(index int) ([]any, error) {
		return []any{int64(10_001 + index), fmt.Sprintf("copied %d", index), note}, nil
	})
	count, err := connection.CopyFrom(ctx, pgx.Identifier{"accounts"}, []string{"id", "owner", "note"}, rows)
	t.OK(err, "COPY FROM STDIN, binary")
	t.Equal("rows copied", count, int64(copied))
	isCopied(ctx, t, connection, 10_001, note)

	var text strings.Builder
	for index := range copied {
		fmt.Fprintf(&text, "%d,copied %d,\"a \"\"quoted\"\", note\"\n", 20_001+index, index)
	}
	tag, err := connection.PgConn().CopyFrom(ctx, strings.NewReader(text.String()), "COPY accounts (id, owner, note) FROM STDIN (FORMAT csv)")
	t.OK(err, "COPY FROM STDIN, CSV")
	t.Equal("command tag", tag.String(), fmt.Sprintf("COPY %d", copied))
	isCopied(ctx, t, connection, 20_001, `a "quoted", note`)

	// A line that cannot be read: its number is told, and no row is stored.
	broken := strings.Replace(strings.ReplaceAll(text.String(), "\n2", "\n3"), "32001,", "x2001,", 1)
	broken = "3" + broken[1:]
	_, err = connection.PgConn().CopyFrom(ctx, strings.NewReader(broken), "COPY accounts (id, owner, note) FROM STDIN (FORMAT csv)")
	t.SQLState("COPY of a broken line", err, "22P02")
	where := pgError(t, err).Where
	t.True(strings.Contains(where, "line 2001") && strings.Contains(where, "accounts"), "the error's line: "+where)
	t.Equal("rows of the failed COPY", countOf(ctx, t, connection, "id > 30000 AND id < 40000"), int64(0))
}

// isCopied reads the rows back by a query and by COPY TO STDOUT, which must agree.
func isCopied(ctx context.Context, t *check.T, connection *pgx.Conn, firstID int, note string) {
	selects := fmt.Sprintf("SELECT id, owner, note FROM accounts WHERE id >= %d AND id < %d ORDER BY id", firstID, firstID+copied)
	var out bytes.Buffer
	tag, err := connection.PgConn().CopyTo(ctx, &out, "COPY ("+selects+") TO STDOUT (FORMAT csv, FORCE_QUOTE *)")
	t.OK(err, "COPY TO STDOUT")
	t.Equal("command tag", tag.String(), fmt.Sprintf("COPY %d", copied))
	lines, err := csv.NewReader(&out).ReadAll()
	t.OK(err, "reading the CSV")
	t.Equal("lines", len(lines), copied)
	rows, err := connection.Query(ctx, selects)
	t.OK(err, "selecting")
	index := 0
	var id int
	var owner, stored string
	_, err = pgx.ForEachRow(rows, []any{&id, &owner, &stored}, func() error {
		t.Equal("row", []any{id, owner, stored}, []any{firstID + index, fmt.Sprintf("copied %d", index), note})
		t.Equal("line", lines[index], []string{fmt.Sprint(id), owner, stored})
		index++
		return nil
	})
	t.OK(err, "reading the rows")
	t.Equal("rows", index, copied)
}

// pgx has no cursors of its own: they are declared in SQL.
func cursors(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	transaction, err := connection.Begin(ctx)
	t.OK(err, "BEGIN")
	_, err = transaction.Exec(ctx, "DECLARE piece CURSOR FOR SELECT id FROM accounts WHERE id <= 1000 ORDER BY id")
	t.OK(err, "DECLARE")
	seen := int64(0)
	for {
		rows, err := transaction.Query(ctx, "FETCH 150 FROM piece")
		t.OK(err, "FETCH")
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		t.OK(err, "reading the rows")
		if len(ids) == 0 {
			break
		}
		for _, id := range ids {
			seen++
			t.Equal("id", id, seen)
		}
		// Another statement of the same transaction, between two pieces.
		t.Equal("in between", countOf(ctx, t, connection, "id = 1"), int64(1))
	}
	t.Equal("rows", seen, int64(1000))
	_, err = transaction.Exec(ctx, "CLOSE piece")
	t.OK(err, "CLOSE")
	t.OK(transaction.Commit(ctx), "COMMIT")
}

func cancels(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	other, otherDone := connect(ctx, t)
	defer otherDone()
	slow := []string{
		"SELECT pg_sleep(30)",
		"SELECT id, pg_sleep(0.2) FROM accounts WHERE id <= 1000",
	}
	for _, statement := range slow {
		untouched := make(chan error, 1)
		go func() {
			_, err := other.Exec(ctx, "SELECT pg_sleep(1)")
			untouched <- err
		}()
		impatient, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		begun := time.Now()
		_, err := connection.Exec(impatient, statement)
		stop()
		t.SQLState(statement, err, "57014")
		t.True(time.Since(begun) < 8*time.Second, "the cancel came at once")
		t.True(!connection.IsClosed(), "the connection is open")
		t.Equal("the connection goes on", countOf(ctx, t, connection, "id <= 1000"), int64(1000))
		t.OK(<-untouched, "another client's statement")
	}
}

func large(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	value := strings.Repeat("0123456789abcdeü", 1<<16)
	_, err := connection.Exec(ctx, "UPDATE accounts SET note = $2 WHERE id = $1", int64(900), value)
	t.OK(err, "writing 1 MB")
	var length int
	var stored string
	t.OK(connection.QueryRow(ctx, "SELECT note, length(note) FROM accounts WHERE id = $1", int64(900)).Scan(&stored, &length), "reading 1 MB")
	t.True(stored == value, "what was written is what is read")
	t.Equal("length", length, 1<<20)
	rows, err := connection.Query(ctx, "SELECT g, 'row ' || g FROM generate_series(1, 100000) AS g")
	t.OK(err, "asking for 100,000 rows")
	seen := 0
	var number int
	var text string
	_, err = pgx.ForEachRow(rows, []any{&number, &text}, func() error {
		seen++
		t.Equal("row", []any{number, text}, []any{seen, fmt.Sprintf("row %d", seen)})
		return nil
	})
	t.OK(err, "reading 100,000 rows")
	t.Equal("rows", seen, 100_000)
}
