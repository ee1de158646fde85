//! What is connected to, from libpq's variables, which tokio-postgres does not read.

use check::{Fault, Outcome, environment, fail};
use futures_util::{StreamExt, stream};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Error, Notification};
use tokio_postgres_rustls::MakeRustlsConnect;

pub fn config() -> Result<Config, Fault> {
    let mut config = Config::new();
    config
        .host(environment("PGHOST"))
        .port(environment("PGPORT").parse()?)
        .user(environment("PGUSER"))
        .password(environment("PGPASSWORD"))
        .dbname(environment("PGDATABASE"))
        .ssl_mode(tokio_postgres::config::SslMode::Require);
    Ok(config)
}

/// rustls verifies the certificate and its name, whatever the mode is called.
pub fn tls() -> Result<MakeRustlsConnect, Fault> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(environment("PGSSLROOTCERT"))? {
        roots.add(certificate?)?;
    }
    tls_with(roots)
}

pub fn tls_with(roots: rustls::RootCertStore) -> Result<MakeRustlsConnect, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

pub async fn connect() -> Result<Client, Fault> {
    Ok(connect_by(&config()?).await?.0)
}

/// The notifications that come are given to the receiver.
pub async fn connect_by(
    config: &Config,
) -> Result<(Client, UnboundedReceiver<Notification>), Fault> {
    let (client, mut connection) = config.connect(tls()?).await?;
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                // Nobody may be listening any more.
                let _ = sender.send(notification);
            }
        }
    });
    Ok((client, receiver))
}

pub async fn count(client: &Client, condition: &str) -> Result<i64, Fault> {
    let sql = format!("SELECT count(*) FROM accounts WHERE {condition}");
    Ok(client.query_one(&sql, &[]).await?.try_get(0)?)
}

/// The error must be a server's, of this SQLSTATE.
pub fn sql_state<T>(doing: &str, result: Result<T, Error>, want: &str) -> Result<Error, Fault> {
    match result {
        Ok(_) => fail(format!("{doing}: no error, want {want}")),
        Err(error) if error.code().is_some_and(|code| code.code() == want) => Ok(error),
        Err(error) => fail(format!("{doing}: got {error:?}, want {want}")),
    }
}

pub async fn fails(
    client: &Client,
    state: &str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<tokio_postgres::error::DbError, Fault> {
    let error = sql_state(sql, client.execute(sql, parameters).await, state)?;
    error.as_db_error().cloned().ok_or_else(|| "an error of the server".into())
}

pub async fn noted(client: &Client, note: &str, want: i64) -> Outcome {
    check::equal(note, count(client, &format!("note = '{note}'")).await?, want)
}
