//! Runs a program's checks and tells how each ended, one JSON line each, as compat-program.ts
//! asks for. It knows nothing of drivers.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::time::Duration;

/// A check that takes longer hangs: the slowest ends within ten seconds on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(40);

pub type Fault = Box<dyn Error + Send + Sync>;
pub type Outcome = Result<(), Fault>;

/// The driver itself has no such feature.
#[derive(Debug)]
struct Absence(&'static str);

impl Display for Absence {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.0)
    }
}

impl Error for Absence {}

/// Tells one line, whatever becomes of the check.
pub async fn run(id: &str, check: impl Future<Output = Outcome> + Send + 'static) {
    let (outcome, detail) = match tokio::spawn(tokio::time::timeout(TIMEOUT, check)).await {
        Ok(Ok(Ok(()))) => ("passed", String::new()),
        Ok(Ok(Err(fault))) if fault.is::<Absence>() => ("absent", fault.to_string()),
        Ok(Ok(Err(fault))) => ("failed", with_causes(fault.as_ref())),
        Ok(Err(_)) => ("failed", format!("not ended after {TIMEOUT:?}")),
        Err(panic) => ("failed", panic.to_string()),
    };
    let line = serde_json::json!({ "check": id, "outcome": outcome, "detail": detail });
    println!("{line}");
}

fn with_causes(fault: &dyn Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(each) = cause {
        text.push_str(&format!(": {each}"));
        cause = each.source();
    }
    text
}

pub fn absent(why: &'static str) -> Outcome {
    Err(Box::new(Absence(why)))
}

pub fn fail<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(what.into().into())
}

pub fn holds(is: bool, what: &str) -> Outcome {
    if is { Ok(()) } else { fail(format!("{what}: it is not")) }
}

pub fn equal<T: PartialEq + Debug>(what: &str, got: T, want: T) -> Outcome {
    if got == want {
        return Ok(());
    }
    fail(format!("{what}: got {}, want {}", brief(&got), brief(&want)))
}

fn brief(value: &impl Debug) -> String {
    format!("{value:?}").chars().take(300).collect()
}

/// A variable that the runner sets.
pub fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        eprintln!("{name} is not set: start this program by npm run test:compat");
        std::process::exit(2)
    })
}
