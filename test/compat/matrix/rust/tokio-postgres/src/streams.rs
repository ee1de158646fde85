//! COPY, portals read in pieces, cancels, and what is large.

use crate::target::{connect, count, sql_state, tls};
use bytes::Bytes;
use check::{Outcome, equal, fail, holds};
use futures_util::{SinkExt, StreamExt, TryStreamExt, pin_mut};
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::types::Type;

const COPIED: i64 = 5000;
const NOTE: &str = "tab\t, newline\n, quote\", backslash \\";

pub async fn copies() -> Outcome {
    let client = connect().await?;
    let types = [Type::INT8, Type::TEXT, Type::TEXT];
    let sink = client.copy_in("COPY accounts (id, owner, note) FROM STDIN BINARY").await?;
    let writer = BinaryCopyInWriter::new(sink, &types);
    pin_mut!(writer);
    for index in 1..=COPIED {
        writer.as_mut().write(&[&(10_000 + index), &format!("copied {index}"), &NOTE]).await?;
    }
    equal("rows in", writer.finish().await?, COPIED as u64)?;

    let out = client
        .copy_out("COPY (SELECT id, owner, note FROM accounts WHERE id > 10000 ORDER BY id) TO STDOUT BINARY")
        .await?;
    let rows: Vec<_> = BinaryCopyOutStream::new(out, &types).try_collect().await?;
    equal("rows out", rows.len(), COPIED as usize)?;
    for (index, row) in (1i64..).zip(&rows) {
        let read = (row.try_get(0)?, row.try_get::<String>(1)?, row.try_get::<String>(2)?);
        equal("row", read, (10_000 + index, format!("copied {index}"), NOTE.into()))?;
    }
    let out = client.copy_out("COPY accounts (id, owner) TO STDOUT (FORMAT csv)").await?;
    let bytes: Vec<Bytes> = out.try_collect().await?;
    let all = String::from_utf8(bytes.concat())?;
    equal("lines", all.lines().count() as i64, count(&client, "true").await?)?;
    holds(all.lines().any(|line| line == "15000,copied 5000"), "the last line is there")?;

    dropped(&client).await?;
    broken(&client).await
}

/// A sink that is dropped says CopyFail: nothing is stored, and the connection goes on.
async fn dropped(client: &Client) -> Outcome {
    {
        let sink = client.copy_in("COPY accounts (id, owner) FROM STDIN").await?;
        pin_mut!(sink);
        sink.send(Bytes::from_static(b"40001\tdropped\n40002\tdropped\n")).await?;
    }
    equal("rows of the dropped COPY", count(client, "owner = 'dropped'").await?, 0)
}

async fn broken(client: &Client) -> Outcome {
    let sink = client.copy_in("COPY accounts (id, owner) FROM STDIN").await?;
    pin_mut!(sink);
    sink.send(Bytes::from_static(b"50001\tbad\n50002\tbad\nx\tbad\n")).await?;
    let error = sql_state("COPY of a broken line", sink.finish().await, "22P02")?;
    let place = error.as_db_error().and_then(|each| each.where_()).unwrap_or_default();
    holds(
        place.contains("line 3") && place.contains("accounts"),
        &format!("the error's line: {place}"),
    )?;
    equal("rows of the failed COPY", count(client, "owner = 'bad'").await?, 0)
}

/// Portals with a row limit, two at a time, over all placements.
pub async fn portals() -> Outcome {
    let mut client = connect().await?;
    let transaction = client.transaction().await?;
    let up =
        transaction.bind("SELECT id FROM accounts WHERE id <= $1 ORDER BY id", &[&1000i64]).await?;
    let down = transaction
        .bind("SELECT id FROM accounts WHERE id <= $1 ORDER BY id DESC", &[&1000i64])
        .await?;
    let mut seen = 0;
    loop {
        let upward = transaction.query_portal(&up, 150).await?;
        let downward = transaction.query_portal(&down, 150).await?;
        equal("rows of both", upward.len(), downward.len())?;
        if upward.is_empty() {
            break;
        }
        for (first, second) in upward.iter().zip(&downward) {
            seen += 1;
            equal("ids", (first.try_get(0)?, second.try_get(0)?), (seen, 1001 - seen))?;
        }
        let between = transaction.query_one("SELECT owner FROM accounts WHERE id = 5", &[]).await?;
        equal("in between", between.try_get(0)?, "owner 5".to_owned())?;
    }
    equal("rows", seen, 1000i64)?;
    transaction.commit().await?;
    Ok(())
}

pub async fn cancels() -> Outcome {
    let client = connect().await?;
    let other = connect().await?;
    for slow in ["SELECT pg_sleep(30)", "SELECT id, pg_sleep(0.2) FROM accounts WHERE id <= 1000"] {
        let token = client.cancel_token();
        let begun = Instant::now();
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            token.cancel_query(tls()?).await.map_err(check::Fault::from)
        };
        let (cancelled, asked, untouched) = tokio::join!(
            client.simple_query(slow),
            cancel,
            other.simple_query("SELECT pg_sleep(1)"),
        );
        asked?;
        untouched?;
        sql_state(slow, cancelled, "57014")?;
        holds(begun.elapsed() < Duration::from_secs(8), "the cancel came at once")?;
        equal("the connection goes on", count(&client, "id <= 1000").await?, 1000)?;
    }
    Ok(())
}

pub async fn large() -> Outcome {
    let client = connect().await?;
    let value = "0123456789abcdeü".repeat(1 << 16);
    client.execute("UPDATE accounts SET note = $2 WHERE id = $1", &[&900i64, &value]).await?;
    let row =
        client.query_one("SELECT note, length(note) FROM accounts WHERE id = 900", &[]).await?;
    holds(row.try_get::<_, String>(0)? == value, "what was written is what is read")?;
    equal("length", row.try_get(1)?, 1 << 20)?;
    let none: [&i64; 0] = [];
    let rows = client
        .query_raw("SELECT g, 'row ' || g FROM generate_series(1, 100000) AS g", none)
        .await?;
    pin_mut!(rows);
    let mut seen = 0;
    while let Some(row) = rows.next().await {
        let row = row?;
        seen += 1;
        if row.try_get::<_, i32>(0)? != seen || row.try_get::<_, &str>(1)? != format!("row {seen}")
        {
            return fail(format!("row {seen}: got {row:?}"));
        }
    }
    equal("rows", seen, 100_000)
}
