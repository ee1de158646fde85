package main

import (
	"context"
	"fmt"
	"strconv"

	"colonnade/compat/check"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func prepared(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	statement, err := connection.Prepare(ctx, "owner_of", "SELECT owner, balance::text FROM accounts WHERE id = $1")
	t.OK(err, "preparing")
	t.Equal("columns", len(statement.Fields), 2)
	t.Equal("parameters", statement.ParamOIDs, []uint32{20})
	ask := func(id int64) {
		var owner, balance string
		t.OK(connection.QueryRow(ctx, "owner_of", id).Scan(&owner, &balance), "running owner_of")
		t.Equal("owner", owner, fmt.Sprintf("owner %d", id))
		t.Equal("balance", balance, "100.00")
	}
	for id := int64(1); id <= 20; id++ {
		ask(id)
	}
	other, otherDone := connect(ctx, t)
	defer otherDone()
	_, err = other.Exec(ctx, "ALTER TABLE accounts ADD COLUMN added integer")
	t.OK(err, "another connection's DDL")
	for id := int64(21); id <= 40; id++ {
		ask(id)
	}
	_, err = other.Exec(ctx, "ALTER TABLE accounts DROP COLUMN added")
	t.OK(err, "another connection's second DDL")
	ask(41)
	t.OK(connection.Deallocate(ctx, "owner_of"), "deallocating")
	_, err = connection.Exec(ctx, "EXECUTE owner_of(1)")
	t.SQLState("a statement that is no more", err, "26000")
}

// batches are pgx's pipelines: all of them up to one Sync, so one implicit transaction.
func batches(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	batch := &pgx.Batch{}
	seen := make([]string, 0, 41)
	for id := int64(1); id <= 40; id++ {
		batch.Queue("SELECT owner FROM accounts WHERE id = $1", id).QueryRow(func(row pgx.Row) error {
			var owner string
			err := row.Scan(&owner)
			seen = append(seen, owner)
			return err
		})
	}
	var total int64
	batch.Queue("SELECT count(*) FROM accounts WHERE id <= $1", int64(1000)).QueryRow(func(row pgx.Row) error {
		return row.Scan(&total)
	})
	t.OK(connection.SendBatch(ctx, batch).Close(), "sending a batch")
	for index, owner := range seen {
		t.Equal("an answer, in order", owner, fmt.Sprintf("owner %d", index+1))
	}
	t.Equal("answers", len(seen), 40)
	t.Equal("the scatter's answer", total, int64(1000))

	failing := &pgx.Batch{}
	for id := int64(2001); id <= 2008; id++ {
		failing.Queue("INSERT INTO accounts (id, owner) VALUES ($1, 'batch')", id)
	}
	failing.Queue("SELECT 1 / $1::integer", 0)
	failing.Queue("INSERT INTO accounts (id, owner) VALUES (2009, 'batch')")
	results := connection.SendBatch(ctx, failing)
	for id := 2001; id <= 2008; id++ {
		tag, err := results.Exec()
		t.OK(err, "an insert before the error")
		t.Equal("rows inserted", tag.RowsAffected(), int64(1))
	}
	_, err := results.Exec()
	t.SQLState("the error in the middle", err, "22012")
	_, err = results.Exec()
	t.SQLState("what stands behind the error", err, "22012")
	t.SQLState("closing the batch", results.Close(), "22012")
	t.Equal("rows of the failed batch", countOf(ctx, t, connection, "owner = 'batch'"), int64(0))

	writing := &pgx.Batch{}
	for id := int64(2001); id <= 2008; id++ {
		writing.Queue("INSERT INTO accounts (id, owner) VALUES ($1, 'batch')", id)
	}
	t.OK(connection.SendBatch(ctx, writing).Close(), "a batch over several placements")
	t.Equal("rows of the batch", countOf(ctx, t, connection, "owner = 'batch'"), int64(8))
}

func countOf(ctx context.Context, t *check.T, connection *pgx.Conn, condition string) int64 {
	var count int64
	t.OK(connection.QueryRow(ctx, "SELECT count(*) FROM accounts WHERE "+condition).Scan(&count), "counting")
	return count
}

func queryExecModes(ctx context.Context, t *check.T) {
	modes := []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement,
		pgx.QueryExecModeCacheDescribe,
		pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec,
		pgx.QueryExecModeSimpleProtocol,
	}
	for index, mode := range modes {
		config := settings(t)
		config.DefaultQueryExecMode = mode
		// Fewer than there are texts below, so that some are put out of the cache and prepared again.
		config.StatementCacheCapacity, config.DescriptionCacheCapacity = 3, 3
		connection, err := pgx.ConnectConfig(ctx, config)
		t.OK(err, "connecting")
		inMode(ctx, t, connection, mode, int64(3000+100*index))
		t.OK(connection.Close(ctx), "closing")
	}
}

func inMode(ctx context.Context, t *check.T, connection *pgx.Conn, mode pgx.QueryExecMode, firstID int64) {
	for round := range 3 {
		for id := firstID; id < firstID+8; id++ {
			key := id + 10*int64(round)
			_, err := connection.Exec(ctx, "INSERT INTO accounts (id, owner, balance, note) VALUES ($1, $2, $3, $4)",
				key, "o'wner \\"+strconv.FormatInt(key, 10), 12.5, nil)
			t.OK(err, mode.String()+": inserting")
			tag, err := connection.Exec(ctx, "UPDATE accounts SET note = $2 WHERE id = $1", key, "ü")
			t.OK(err, mode.String()+": updating")
			t.Equal("rows updated", tag.RowsAffected(), int64(1))
		}
		rows, err := connection.Query(ctx, "SELECT id, owner, balance::float8, note FROM accounts WHERE id >= $1 AND id < $2 ORDER BY id DESC",
			firstID+10*int64(round), firstID+10*int64(round)+8)
		t.OK(err, mode.String()+": a scatter")
		key := firstID + 10*int64(round) + 7
		var id int64
		var owner, note string
		var balance float64
		_, err = pgx.ForEachRow(rows, []any{&id, &owner, &balance, &note}, func() error {
			t.Equal("row", []any{id, owner, balance, note}, []any{key, "o'wner \\" + strconv.FormatInt(key, 10), 12.5, "ü"})
			key--
			return nil
		})
		t.OK(err, mode.String()+": reading the scatter")
		t.Equal("the last row", key, firstID+10*int64(round)-1)
		tag, err := connection.Exec(ctx, "DELETE FROM accounts WHERE id = ANY($1)", []int64{firstID + 10*int64(round), firstID + 10*int64(round) + 1})
		t.OK(err, mode.String()+": deleting")
		t.Equal("rows deleted", tag.RowsAffected(), int64(2))
	}
}

// pipelineMode is libpq's, through pgconn: several Syncs under way, and a Flush between.
func pipelineMode(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	pipeline := connection.PgConn().StartPipeline(ctx)
	const owner = "SELECT owner FROM accounts WHERE id = $1"
	send := func(id int) {
		pipeline.SendQueryParams(owner, [][]byte{[]byte(strconv.Itoa(id))}, nil, nil, nil)
	}
	pipeline.SendPrepare("piped", owner, nil)
	for id := 1; id <= 10; id++ {
		pipeline.SendQueryPrepared("piped", [][]byte{[]byte(strconv.Itoa(id))}, nil, nil)
	}
	pipeline.SendFlushRequest()
	t.OK(pipeline.Flush(), "flushing")
	description, isDescription := next(t, pipeline).(*pgconn.StatementDescription)
	t.True(isDescription && len(description.Fields) == 1, "the statement is described before the Sync")
	for id := 1; id <= 10; id++ {
		t.Equal("an answer before the Sync", valueOf(t, next(t, pipeline)), fmt.Sprintf("owner %d", id))
	}
	send(11)
	pipeline.SendPipelineSync()
	pipeline.SendQueryParams("SELECT nothing_of_this_name", nil, nil, nil, nil)
	send(12)
	pipeline.SendPipelineSync()
	send(13)
	t.OK(pipeline.Sync(), "syncing")

	t.Equal("before the error", valueOf(t, next(t, pipeline)), "owner 11")
	isSync(t, pipeline)
	_, err := pipeline.GetResults()
	t.SQLState("the failing statement", err, "42703")
	isSync(t, pipeline)
	t.Equal("behind the error's Sync", valueOf(t, next(t, pipeline)), "owner 13")
	isSync(t, pipeline)
	t.OK(pipeline.Close(), "closing the pipeline")
	t.Equal("the connection goes on", countOf(ctx, t, connection, "id BETWEEN 1 AND 10"), int64(10))
}

func next(t *check.T, pipeline *pgconn.Pipeline) any {
	results, err := pipeline.GetResults()
	t.OK(err, "the pipeline's next result")
	return results
}

func isSync(t *check.T, pipeline *pgconn.Pipeline) {
	_, is := next(t, pipeline).(*pgconn.PipelineSync)
	t.True(is, "a Sync's end")
}

func valueOf(t *check.T, results any) string {
	reader, isReader := results.(*pgconn.ResultReader)
	t.True(isReader, "a query's result")
	result := reader.Read()
	t.OK(result.Err, "reading")
	t.Equal("rows", len(result.Rows), 1)
	return string(result.Rows[0][0])
}
