//! Prepared statements, pipelines, and statements without either.

use crate::target::{connect, count, sql_state};
use check::{Fault, Outcome, equal, fail, holds};
use futures_util::future::{join_all, try_join_all};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage, Statement};

const OWNER: &str = "SELECT owner FROM accounts WHERE id = $1";

pub async fn prepared() -> Outcome {
    let client = connect().await?;
    let other = connect().await?;
    let statement = client.prepare(OWNER).await?;
    equal("parameters", statement.params(), &[Type::INT8])?;
    equal("columns", statement.columns()[0].type_(), &Type::TEXT)?;
    ask(&client, &statement, 1..=20).await?;
    other.batch_execute("ALTER TABLE accounts ADD COLUMN added integer").await?;
    ask(&client, &statement, 21..=40).await?;
    other.batch_execute("ALTER TABLE accounts DROP COLUMN added").await?;
    ask(&client, &statement, 41..=45).await
}

async fn ask(client: &Client, statement: &Statement, ids: impl Iterator<Item = i64>) -> Outcome {
    for id in ids {
        let owner: String = client.query_one(statement, &[&id]).await?.try_get(0)?;
        equal("owner", owner, format!("owner {id}"))?;
    }
    Ok(())
}

/// Futures polled together are sent together, each with a Sync of its own.
pub async fn pipelines() -> Outcome {
    let client = connect().await?;
    let statement = client.prepare(OWNER).await?;
    let owners = try_join_all((1..=40i64).map(async |id| {
        let row = client.query_one(&statement, &[&id]).await?;
        row.try_get::<_, String>(0)
    }))
    .await?;
    let want: Vec<_> = (1..=40).map(|id| format!("owner {id}")).collect();
    equal("the answers, in order", owners, want)?;

    let insert = client.prepare("INSERT INTO accounts (id, owner) VALUES ($1, 'piped')").await?;
    let division = client.prepare("SELECT 1 / $1::integer").await?;
    let (before, error, after, scatter) = tokio::join!(
        join_all((2001..=2004i64).map(async |id| client.execute(&insert, &[&id]).await)),
        client.query(&division, &[&0i32]),
        join_all((2005..=2008i64).map(async |id| client.execute(&insert, &[&id]).await)),
        count(&client, "id <= 1000"),
    );
    sql_state("the error in the middle", error, "22012")?;
    for inserted in before.into_iter().chain(after) {
        equal("rows inserted", inserted?, 1)?;
    }
    equal("the scatter's answer", scatter?, 1000)?;
    equal("rows", count(&client, "owner = 'piped'").await?, 8)?;

    // Statements, too, are prepared in the pipeline.
    let texts = try_join_all((1..=20i64).map(async |id| {
        let sql = format!("SELECT note IS NULL, owner FROM accounts WHERE id = {id}");
        let row = client.query_one(&sql, &[]).await?;
        row.try_get::<_, String>(1)
    }))
    .await?;
    equal("texts", texts.len(), 20)?;
    equal("the last", texts.last().map(String::as_str), Some("owner 20"))
}

/// Parse with the types, Bind, Describe, Execute and Sync in one go: no statement is prepared before.
pub async fn typed() -> Outcome {
    let client = connect().await?;
    for id in 51..=58i64 {
        let row = client.query_typed_one(OWNER, &[(&id, Type::INT8)]).await?;
        equal("owner", row.try_get(0)?, format!("owner {id}"))?;
        let count = client
            .execute_typed(
                "UPDATE accounts SET note = $2 WHERE id = $1",
                &[(&id, Type::INT8), (&"typed", Type::TEXT)],
            )
            .await?;
        equal("rows updated", count, 1)?;
    }
    let ids: Vec<i64> = client
        .query_typed(
            "SELECT id FROM accounts WHERE note = $1 ORDER BY id DESC",
            &[(&"typed", Type::TEXT)],
        )
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    equal("ids", ids, (51..=58).rev().collect())
}

/// Several statements in one text are one implicit transaction.
pub async fn simple() -> Result<(), Fault> {
    let client = connect().await?;
    let messages = client
        .simple_query("SELECT owner FROM accounts WHERE id = 3; UPDATE accounts SET note = 'several' WHERE id IN (3, 4, 5, 6); SELECT NULL")
        .await?;
    let mut seen = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => seen.push(format!("{:?}", row.try_get(0)?)),
            SimpleQueryMessage::CommandComplete(count) => seen.push(count.to_string()),
            SimpleQueryMessage::RowDescription(columns) => {
                holds(columns.len() == 1, "there is one column")?
            }
            other => return fail(format!("{other:?}")),
        }
    }
    equal("messages", seen.join(" "), "Some(\"owner 3\") 1 4 None 1".into())?;
    let undone = client
        .batch_execute("UPDATE accounts SET note = 'undone' WHERE id IN (3, 4, 5, 6); SELECT 1 / 0")
        .await;
    sql_state("an error in the second", undone, "22012")?;
    equal("the first is undone", count(&client, "note = 'undone'").await?, 0)
}
