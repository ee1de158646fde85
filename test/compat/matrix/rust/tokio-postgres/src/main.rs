//! tokio-postgres as its users have it: pipelined futures, portals, COPY in binary, over rustls.

mod sessions;
mod statements;
mod streams;
mod target;
mod types;

use check::{Fault, Outcome, environment, equal, fail, run};
use tokio_postgres::config::ChannelBinding;

#[tokio::main]
async fn main() {
    run("connect", connects()).await;
    run("types-text", types::as_text()).await;
    run("types-binary", types::as_binary()).await;
    run("prepared", statements::prepared()).await;
    run("pipeline", statements::pipelines()).await;
    run("copy", streams::copies()).await;
    run("cursor", streams::portals()).await;
    run("cancel", streams::cancels()).await;
    run("transactions", sessions::transactions()).await;
    run("listen", sessions::listens()).await;
    run("errors", sessions::reports_errors()).await;
    run("reconnect", sessions::reconnects()).await;
    run("large", streams::large()).await;
    run("query-typed", statements::typed()).await;
    run("simple-query", statements::simple()).await;
    run("channel-binding", channel_binding()).await;
}

async fn connects() -> Outcome {
    let client = target::connect().await?;
    let row = client
        .query_one("SELECT current_user::text, current_database()::text, current_setting('server_version_num')::int", &[])
        .await?;
    equal("current_user", row.try_get(0)?, environment("PGUSER"))?;
    equal("current_database()", row.try_get(1)?, environment("PGDATABASE"))?;
    let version: i32 = row.try_get(2)?;
    check::holds(version >= 100_000, "a version of PostgreSQL")?;
    client.check_connection().await?;

    let mut wrong = target::config()?;
    wrong.password("wrong");
    target::sql_state(
        "a wrong password",
        wrong.connect(target::tls()?).await.map(|_| ()),
        "28P01",
    )?;
    let stranger = target::tls_with(rustls::RootCertStore::empty())?;
    match target::config()?.connect(stranger).await {
        Ok(_) => fail("a certificate that nobody has signed is taken"),
        Err(error) if error.code().is_none() => Ok(()),
        Err(error) => fail(format!("not an error of TLS: {error:?}")),
    }
}

/// SCRAM-SHA-256-PLUS: the password's proof covers the server's certificate.
async fn channel_binding() -> Result<(), Fault> {
    let mut config = target::config()?;
    config.channel_binding(ChannelBinding::Require);
    let (client, _) = target::connect_by(&config).await?;
    equal("SELECT 1", client.query_one("SELECT 1", &[]).await?.try_get::<_, i32>(0)?, 1)
}
