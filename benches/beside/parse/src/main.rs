//! The bare parse of a CSV file by the `csv` crate, for the ratio: nothing reads a file in less.
//! Usage: cargo run --release -- FILE

/// Counts the rows of a file.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("which file?")?;
    let mut reader = csv::Reader::from_path(file)?;
    let (mut record, mut rows) = (csv::ByteRecord::new(), 0_u64);
    while reader.read_byte_record(&mut record)? {
        rows += 1;
    }
    assert!(rows > 0, "the file has no rows");
    Ok(())
}
