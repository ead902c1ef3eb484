//! Files for `mkto-audit upsert`.

pub fn people(count: usize) -> String {
    let rows: Vec<String> = (0..count).map(|n| format!("p{n}@example.com,First {n}")).collect();
    format!("email,firstName\n{}\n", rows.join("\n"))
}
