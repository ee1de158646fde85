// pgx v5 as its users have it: its own interface, its pool, and pgconn beneath.
package main

import (
	"context"
	"crypto/tls"
	"os"
	"time"

	"colonnade/compat/check"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

func main() {
	check.Run(
		check.Check{ID: "connect", Run: connects},
		check.Check{ID: "types-text", Run: typesAsText},
		check.Check{ID: "types-binary", Run: typesAsBinary},
		check.Check{ID: "prepared", Run: prepared},
		check.Check{ID: "pipeline", Run: batches},
		check.Check{ID: "copy", Run: copies},
		check.Check{ID: "cursor", Run: cursors},
		check.Check{ID: "cancel", Run: cancels},
		check.Check{ID: "transactions", Run: transactions},
		check.Check{ID: "listen", Run: listens},
		check.Check{ID: "errors", Run: reportsErrors},
		check.Check{ID: "reconnect", Run: reconnects},
		check.Check{ID: "large", Run: large},
		check.Check{ID: "query-exec-modes", Run: queryExecModes},
		check.Check{ID: "pipeline-mode", Run: pipelineMode},
		check.Check{ID: "pool", Run: pools},
		check.Check{ID: "channel-binding", Run: channelBinding},
	)
}

// settings are libpq's variables, which pgx reads by itself. A cancelled context sends a
// CancelRequest instead of closing the connection.
func settings(t *check.T) *pgx.ConnConfig {
	config, err := pgx.ParseConfig("")
	t.OK(err, "reading the environment")
	config.BuildContextWatcherHandler = func(connection *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: connection, DeadlineDelay: 10 * time.Second}
	}
	return config
}

func connect(ctx context.Context, t *check.T) (*pgx.Conn, func()) {
	connection, err := pgx.ConnectConfig(ctx, settings(t))
	t.OK(err, "connecting")
	return connection, func() { _ = connection.Close(context.Background()) }
}

func connects(ctx context.Context, t *check.T) {
	connection, done := connect(ctx, t)
	defer done()
	secured, isTLS := connection.PgConn().Conn().(*tls.Conn)
	t.True(isTLS, "the connection is TLS")
	t.Equal("verified chains", len(secured.ConnectionState().VerifiedChains), 1)
	var version, user, database string
	err := connection.QueryRow(ctx, "SELECT current_setting('server_version'), current_user, current_database()").
		Scan(&version, &user, &database)
	t.OK(err, "asking for the version")
	t.Equal("server_version", version, connection.PgConn().ParameterStatus("server_version"))
	t.Equal("current_user", user, check.Environment("PGUSER"))
	t.Equal("current_database()", database, check.Environment("PGDATABASE"))
	t.Equal("client_encoding", connection.PgConn().ParameterStatus("client_encoding"), "UTF8")

	wrong := settings(t)
	wrong.Password += "not"
	_, err = pgx.ConnectConfig(ctx, wrong)
	t.SQLState("a wrong password", err, "28P01")
}

// channelBinding is SCRAM-SHA-256-PLUS: the password's proof covers the server's certificate.
func channelBinding(ctx context.Context, t *check.T) {
	t.OK(os.Setenv("PGCHANNELBINDING", "require"), "setting the environment")
	defer os.Unsetenv("PGCHANNELBINDING")
	connection, done := connect(ctx, t)
	defer done()
	var one int
	t.OK(connection.QueryRow(ctx, "SELECT 1").Scan(&one), "asking")
	t.Equal("SELECT 1", one, 1)
}
