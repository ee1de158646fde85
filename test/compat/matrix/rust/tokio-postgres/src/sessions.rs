//! Transactions, notifications, errors and lost connections.

use crate::target::{config, connect, connect_by, count, fails, noted, sql_state};
use check::{Fault, Outcome, equal, fail, holds};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{GenericClient, IsolationLevel, Notification};

async fn set(client: &impl GenericClient, note: &str) -> Outcome {
    let statement = client.prepare("UPDATE accounts SET note = $2 WHERE id = $1").await?;
    for id in 101..=108i64 {
        equal("rows updated", client.execute(&statement, &[&id, &note]).await?, 1)?;
    }
    Ok(())
}

pub async fn transactions() -> Outcome {
    let mut client = connect().await?;
    let other = connect().await?;
    let transaction = client.transaction().await?;
    set(&transaction, "first").await?;
    noted(&other, "first", 0).await?;
    transaction.commit().await?;
    noted(&other, "first", 8).await?;

    // One that is dropped is rolled back.
    let transaction = client.transaction().await?;
    set(&transaction, "second").await?;
    drop(transaction);
    noted(&client, "second", 0).await?;

    let mut transaction = client.transaction().await?;
    transaction
        .execute("UPDATE accounts SET note = 'outer' WHERE id IN (101, 102, 103, 104)", &[])
        .await?;
    let inner = transaction.savepoint("inner_one").await?;
    set(&inner, "inner").await?;
    let duplicate =
        inner.execute("INSERT INTO accounts (id, owner) VALUES (105, 'twice')", &[]).await;
    sql_state("a duplicate", duplicate, "23505")?;
    sql_state("after an error", inner.query("SELECT 1", &[]).await, "25P02")?;
    inner.rollback().await?;
    let kept = transaction.transaction().await?;
    kept.execute("UPDATE accounts SET note = 'kept' WHERE id = 108", &[]).await?;
    kept.commit().await?;
    transaction.commit().await?;
    noted(&other, "outer", 4).await?;
    noted(&other, "inner", 0).await?;
    noted(&other, "kept", 1).await?;

    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::Serializable)
        .read_only(true)
        .deferrable(true)
        .start()
        .await?;
    let write = transaction.execute("UPDATE accounts SET note = 'no' WHERE id = 101", &[]).await;
    sql_state("a write of a read-only transaction", write, "25006")?;
    transaction.rollback().await?;
    equal("the connection goes on", count(&client, "id <= 1000").await?, 1000)
}

async fn payload(receiver: &mut UnboundedReceiver<Notification>) -> Result<Option<String>, Fault> {
    match tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await? {
        Some(each) if each.channel() == "News of accounts" => Ok(Some(each.payload().into())),
        other => fail(format!("{other:?} came")),
    }
}

async fn silent(receiver: &mut UnboundedReceiver<Notification>) -> Outcome {
    let waited = tokio::time::timeout(Duration::from_millis(300), receiver.recv()).await;
    holds(waited.is_err(), "nothing comes")
}

pub async fn listens() -> Outcome {
    let (client, mut receiver) = connect_by(&config()?).await?;
    let mut other = connect().await?;
    let some = |text: &str| Some(text.to_owned());
    client.batch_execute("LISTEN \"News of accounts\"").await?;
    other.batch_execute("NOTIFY \"News of accounts\", 'grüße'").await?;
    equal("payload", payload(&mut receiver).await?, some("grüße"))?;
    let transaction = other.transaction().await?;
    for each in ["one", "two"] {
        transaction.execute("SELECT pg_notify('News of accounts', $1)", &[&each]).await?;
    }
    silent(&mut receiver).await?;
    transaction.commit().await?;
    equal("payload", payload(&mut receiver).await?, some("one"))?;
    equal("payload", payload(&mut receiver).await?, some("two"))?;
    equal("a query in between", count(&client, "id <= 10").await?, 10)?;
    client.batch_execute("UNLISTEN *").await?;
    other.batch_execute("NOTIFY \"News of accounts\", 'nobody listens'").await?;
    silent(&mut receiver).await
}

pub async fn reports_errors() -> Outcome {
    let client = connect().await?;
    for id in 1..=8i64 {
        let unique = fails(
            &client,
            "23505",
            "INSERT INTO accounts (id, owner) VALUES ($1, 'twice')",
            &[&id],
        )
        .await?;
        equal(
            "fields",
            (unique.schema(), unique.table(), unique.constraint()),
            (Some("public"), Some("accounts"), Some("accounts_pkey")),
        )?;
        equal(
            "detail",
            unique.detail(),
            Some(format!("Key (id)=({id}) already exists.").as_str()),
        )?;
        let missing =
            fails(&client, "23502", "INSERT INTO accounts (id) VALUES ($1)", &[&(id + 50_000)])
                .await?;
        equal("column", (missing.table(), missing.column()), (Some("accounts"), Some("owner")))?;
    }
    for (state, sql, position) in [
        ("42601", "SELECT id FROM accounts WHERE id = 1 ODER BY id", 38),
        ("42703", "SELECT 'ü', nothing FROM accounts WHERE id = 1", 13),
        ("42P01", "SELECT 1 FROM nothing_of_this_name", 15),
    ] {
        let error = fails(&client, state, sql, &[]).await?;
        equal(sql, error.position(), Some(&ErrorPosition::Original(position)))?;
    }
    fails(&client, "22P02", "SELECT 'x'::integer", &[]).await?;
    fails(&client, "22012", "SELECT id / 0 FROM accounts", &[]).await?;
    equal("the connection goes on", count(&client, "id <= 1000").await?, 1000)
}

/// The server ends a connection whose transaction is idle for too long.
pub async fn reconnects() -> Outcome {
    for _ in 0..3 {
        let mut client = connect().await?;
        let transaction = client.transaction().await?;
        transaction.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 100").await?;
        transaction.execute("UPDATE accounts SET note = 'lost' WHERE id = 77", &[]).await?;
        tokio::time::sleep(Duration::from_millis(400)).await;
        match transaction.execute("UPDATE accounts SET note = 'lost' WHERE id = 78", &[]).await {
            Ok(_) => return fail("a lost transaction went on"),
            Err(error) => {
                let code = error.code().map(|each| each.code().to_owned());
                let is_lost =
                    error.is_closed() || matches!(code.as_deref(), Some("25P03" | "57P01"));
                holds(is_lost, &format!("the lost connection's error: {error:?}"))?;
            }
        }
        drop(transaction);
        let next = connect().await?;
        noted(&next, "lost", 0).await?;
    }
    Ok(())
}
