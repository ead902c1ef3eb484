//! The file of an export, with what makes real ones hard to read.
//!
//! An empty value is the bare word `null`, and so is a value that reads `null`: nothing tells them
//! apart. Quotes, line breaks and separators are quoted as RFC 4180 has it; NUL bytes and stray
//! carriage returns inside values stay as they are. Rows come in no useful order. Which leads are
//! in the file, and how their values read, the caller decides.

use super::order::Order;

/// Writes rows one after the other.
#[derive(Debug)]
pub(super) struct FileWriter<'a> {
    order: &'a Order,
    /// Whether quotes within quotes are left as they are, which breaks the file.
    bare_quotes: bool,
    bytes: Vec<u8>,
    records: usize,
}

impl<'a> FileWriter<'a> {
    /// A file with nothing but the header.
    pub(super) fn new(order: &'a Order, bare_quotes: bool) -> Self {
        let mut file = Self { order, bare_quotes, bytes: Vec::new(), records: 0 };
        let headers = order
            .fields
            .iter()
            .map(|field| Some(order.headers.get(field).unwrap_or(field).as_str()));
        file.line(headers);
        file
    }

    /// One lead: its value for each field of the order, in their order.
    pub(super) fn row<'v>(&mut self, values: impl Iterator<Item = Option<&'v str>>) {
        self.line(values);
        self.records += 1;
    }

    /// The file and the number of its records.
    pub(super) fn finish(self) -> (Vec<u8>, usize) {
        (self.bytes, self.records)
    }

    fn line<'v>(&mut self, values: impl Iterator<Item = Option<&'v str>>) {
        let separator = self.order.format.separator();
        for (column, value) in values.enumerate() {
            if column > 0 {
                self.bytes.push(separator);
            }
            self.cell(value.filter(|value| !value.is_empty()).unwrap_or("null"), separator);
        }
        self.bytes.push(b'\n');
    }

    fn cell(&mut self, value: &str, separator: u8) {
        let quoted =
            value.bytes().any(|byte| byte == separator || matches!(byte, b'"' | b'\n' | b'\r'));
        if !quoted {
            self.bytes.extend_from_slice(value.as_bytes());
            return;
        }
        self.bytes.push(b'"');
        for byte in value.bytes() {
            if byte == b'"' && !self.bare_quotes {
                self.bytes.push(b'"');
            }
            self.bytes.push(byte);
        }
        self.bytes.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(order: &serde_json::Value, rows: &[&[Option<&str>]]) -> String {
        let order = Order::parse(order.as_object().unwrap()).unwrap();
        let mut file = FileWriter::new(&order, false);
        for row in rows {
            file.row(row.iter().copied());
        }
        let (bytes, records) = file.finish();
        assert_eq!(records, rows.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_empty_value_is_the_bare_word_null_and_so_is_a_value_that_reads_null() {
        let order = json!({"fields": ["id", "lastName"], "filter": {"staticListId": 1}});
        let text =
            file(&order, &[&[Some("1"), None], &[Some("2"), Some("null")], &[Some("3"), Some("")]]);
        assert_eq!(text, "id,lastName\n1,null\n2,null\n3,null\n");
    }

    #[test]
    fn values_that_would_break_a_line_are_quoted() {
        let order = json!({"fields": ["company"], "filter": {"staticListId": 1}});
        let text = file(
            &order,
            &[
                &[Some("a,b")],
                &[Some("\"q\"")],
                &[Some("x\r\ny")],
                &[Some("a\0b")],
                &[Some("a;b\tc")],
            ],
        );
        assert_eq!(text, "company\n\"a,b\"\n\"\"\"q\"\"\"\n\"x\r\ny\"\na\0b\na;b\tc\n");
    }

    #[test]
    fn other_formats_quote_their_own_separator_and_headers_can_be_named() {
        let order = json!({
            "fields": ["id", "email"], "format": "SSV", "columnHeaderNames": {"email": "Email Address"},
            "filter": {"staticListId": 1}
        });
        assert_eq!(file(&order, &[&[Some("a;b"), Some("a,b")]]), "id;Email Address\n\"a;b\";a,b\n");
    }
}
