//! Every column of every_type, there and back.

use crate::target::connect;
use bytes::{BufMut, BytesMut};
use check::{Fault, Outcome, equal, fail, holds};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use postgres_types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use rust_decimal::Decimal;
use std::error::Error;
use std::fmt::Debug;
use std::net::IpAddr;
use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

#[derive(Debug, PartialEq, ToSql, FromSql)]
#[postgres(name = "mood", rename_all = "lowercase")]
enum Mood {
    Sad,
    Ok,
    Happy,
}

#[derive(Debug, PartialEq, ToSql, FromSql)]
#[postgres(name = "posint")]
struct Posint(i32);

#[derive(Debug, PartialEq, ToSql, FromSql)]
#[postgres(name = "comp")]
struct Comp {
    a: Option<i32>,
    b: Option<String>,
}

/// A value in the server's own binary format, of whatever type.
#[derive(Debug, PartialEq)]
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

const HEX: &str = "\\x00017f80ff";

/// Each column with the server's text of a value.
const SAMPLES: &[(&str, &str)] = &[
    ("a_boolean", "true"),
    ("a_smallint", "-32768"),
    ("an_integer", "2147483647"),
    ("a_bigint", "-9223372036854775808"),
    ("a_numeric", "-12345678901234567890.123456789"),
    ("a_real", "1.5e-07"),
    ("a_double", "0.30000000000000004"),
    ("a_text", "grüße, 世界 \\ ' \" \n\t$1"),
    ("a_varchar", "twenty characters ok"),
    ("a_char", "abc"),
    ("a_bytea", HEX),
    ("a_date", "2024-02-29"),
    ("a_time", "23:59:59.999999"),
    ("a_timetz", "12:34:56.789+05:30"),
    ("a_timestamp", "2024-02-29 23:59:58.123456"),
    ("a_timestamptz", "2024-02-29 23:59:58.123456+00"),
    ("an_interval", "1 year 2 mons -3 days +00:00:04.005006"),
    ("a_uuid", "01020304-0506-0708-090a-0b0c0d0e0fff"),
    ("a_json", "{\"a\":[1,null,\"ü\"]}"),
    ("a_jsonb", "{\"a\": [1, null, \"ü\"]}"),
    ("integers", "{1,NULL,3}"),
    ("texts", "{\"a,b\",\"c\\\"d\\\\\",\"\",\"NULL\"}"),
    ("an_inet", "192.168.0.1/24"),
    ("a_cidr", "2001:db8::/32"),
    ("a_macaddr", "08:00:2b:01:02:ff"),
    ("a_bit", "10100101"),
    ("a_varbit", "101"),
    ("a_point", "(1.5,-2)"),
    ("an_int4range", "[1,10)"),
    ("a_tstzrange", "(\"2024-02-29 23:59:58.123456+00\",)"),
    ("an_xml", "<a>ü</a>"),
    ("a_money", "$1,234.50"),
    ("a_mood", "happy"),
    ("a_posint", "7"),
    ("a_comp", "(5,\"x,\"\"y\")"),
];

/// Text is what the simple protocol gives; the extended one is binary in this driver.
pub async fn as_text() -> Outcome {
    let client = connect().await?;
    for id in 20..24 {
        client.batch_execute(&format!("INSERT INTO every_type (id) VALUES ({id})")).await?;
        for (column, text) in SAMPLES {
            for value in [Some(*text), None] {
                let literal =
                    value.map_or("NULL".into(), |text| format!("'{}'", text.replace('\'', "''")));
                client
                    .batch_execute(&format!(
                        "UPDATE every_type SET {column} = {literal} WHERE id = {id}"
                    ))
                    .await?;
                let got = simple_value(
                    &client,
                    &format!("SELECT {column} FROM every_type WHERE id = {id}"),
                )
                .await?;
                equal(column, spelled(column, got), value.map(str::to_owned))?;
            }
        }
    }
    Ok(())
}

/// What is not a value's text as a cast gives it: a boolean's letter, and a char's blanks.
fn spelled(column: &str, got: Option<String>) -> Option<String> {
    match column {
        "a_boolean" => got.map(|each| if each == "t" { "true".into() } else { each }),
        "a_char" => got.map(|each| each.trim_end().into()),
        _ => got,
    }
}

async fn simple_value(client: &Client, sql: &str) -> Result<Option<String>, Fault> {
    for message in client.simple_query(sql).await? {
        if let SimpleQueryMessage::Row(row) = message {
            return Ok(row.try_get(0)?.map(str::to_owned));
        }
    }
    fail(format!("no row: {sql}"))
}

pub async fn as_binary() -> Outcome {
    let client = connect().await?;
    for id in (30..38).step_by(2) {
        raw(&client, id).await?;
        native(&client, id).await?;
    }
    Ok(())
}

/// Every column's binary form, read from one row and written into another one.
async fn raw(client: &Client, id: i64) -> Outcome {
    for each in [id, id + 1] {
        client.execute("INSERT INTO every_type (id) VALUES ($1)", &[&each]).await?;
    }
    for (column, text) in SAMPLES {
        let literal = text.replace('\'', "''");
        client
            .batch_execute(&format!("UPDATE every_type SET {column} = '{literal}' WHERE id = {id}"))
            .await?;
        let select = format!("SELECT {column}, {column}::text FROM every_type WHERE id = $1");
        let update = format!("UPDATE every_type SET {column} = $2 WHERE id = $1");
        let value: Option<Raw> = client.query_one(&select, &[&id]).await?.try_get(0)?;
        holds(value.is_some(), column)?;
        client.execute(&update, &[&(id + 1), &value]).await?;
        let row = client.query_one(&select, &[&(id + 1)]).await?;
        equal(column, row.try_get(0)?, value)?;
        equal(column, row.try_get(1)?, Some((*text).to_owned()))?;
        client.execute(&update, &[&(id + 1), &None::<Raw>]).await?;
        let row = client.query_one(&select, &[&(id + 1)]).await?;
        equal(column, (row.try_get(0)?, row.try_get(1)?), (None::<Raw>, None::<String>))?;
    }
    Ok(())
}

/// Those that the driver has Rust types for, of the row that `raw` has filled.
async fn native(client: &Client, id: i64) -> Outcome {
    let moment: NaiveDateTime = "2024-02-29T23:59:58.123456".parse()?;
    let json = serde_json::json!({ "a": [1, null, "ü"] });
    is(client, id, "a_boolean", true).await?;
    is(client, id, "a_smallint", i16::MIN).await?;
    is(client, id, "an_integer", i32::MAX).await?;
    is(client, id, "a_bigint", i64::MIN).await?;
    is(client, id, "a_numeric", Decimal::from_str_exact("-12345678901234567890.123456789")?)
        .await?;
    is(client, id, "a_real", 1.5e-7f32).await?;
    is(client, id, "a_double", 0.30000000000000004f64).await?;
    is(client, id, "a_text", "grüße, 世界 \\ ' \" \n\t$1".to_owned()).await?;
    is(client, id, "a_char", "abc  ".to_owned()).await?;
    is(client, id, "a_bytea", vec![0u8, 1, 127, 128, 255]).await?;
    is(client, id, "a_date", NaiveDate::from_ymd_opt(2024, 2, 29).unwrap_or_default()).await?;
    is(client, id, "a_time", "23:59:59.999999".parse::<NaiveTime>()?).await?;
    is(client, id, "a_timestamp", moment).await?;
    is(client, id, "a_timestamptz", DateTime::<Utc>::from_naive_utc_and_offset(moment, Utc))
        .await?;
    is(client, id, "a_uuid", "01020304-0506-0708-090a-0b0c0d0e0fff".parse::<Uuid>()?).await?;
    is(client, id, "a_json", json.clone()).await?;
    is(client, id, "a_jsonb", json).await?;
    is(client, id, "integers", vec![Some(1i32), None, Some(3)]).await?;
    is(client, id, "texts", ["a,b", "c\"d\\", "", "NULL"].map(str::to_owned).to_vec()).await?;
    is(client, id, "a_mood", Mood::Happy).await?;
    is(client, id, "a_posint", Posint(7)).await?;
    is(client, id, "a_comp", Comp { a: Some(5), b: Some("x,\"y".into()) }).await?;
    // An address without its netmask.
    client.execute("UPDATE every_type SET an_inet = '2001:db8::1' WHERE id = $1", &[&id]).await?;
    is(client, id, "an_inet", "2001:db8::1".parse::<IpAddr>()?).await
}

/// Read, written into the neighbour, compared there by the server, and read again.
async fn is<T>(client: &Client, id: i64, column: &str, want: T) -> Outcome
where
    T: ToSql + Sync + PartialEq + Debug + for<'a> FromSql<'a>,
{
    let select = format!("SELECT {column}, {column}::text FROM every_type WHERE id = $1");
    let row = client.query_one(&select, &[&id]).await?;
    equal(column, &row.try_get::<_, T>(0)?, &want)?;
    let text: String = row.try_get(1)?;
    let next = id + 1;
    client
        .execute(&format!("UPDATE every_type SET {column} = $2 WHERE id = $1"), &[&next, &want])
        .await?;
    let row = client.query_one(&select, &[&next]).await?;
    equal(column, &row.try_get::<_, T>(0)?, &want)?;
    equal(column, row.try_get(1)?, text)
}
