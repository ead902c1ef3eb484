//! `multipart/form-data` (RFC 7578), as far as an import needs it: parts by name. Pure.

use super::super::answer::{Refused, refused};

/// The parts of a form.
#[derive(Debug)]
pub(super) struct Form<'a> {
    parts: Vec<(String, &'a [u8])>,
}

impl<'a> Form<'a> {
    /// Takes a body apart.
    pub(super) fn parse(content_type: &str, body: &'a [u8]) -> Result<Self, Refused> {
        if !content_type.starts_with("multipart/form-data") {
            return Err(refused("612", "Invalid Content Type"));
        }
        let invalid = || refused("613", "Invalid Multipart Request");
        let boundary = parameter(content_type, "boundary").ok_or_else(invalid)?;
        let delimiter = format!("\r\n--{boundary}");
        // The first delimiter has no line break before it.
        let first = delimiter.trim_start().as_bytes();
        let mut rest = body.strip_prefix(first).ok_or_else(invalid)?;
        let mut parts = Vec::new();
        while !rest.starts_with(b"--") {
            let end = find(rest, delimiter.as_bytes()).ok_or_else(invalid)?;
            let (part, after) = rest.split_at(end);
            let head_end = find(part, b"\r\n\r\n").ok_or_else(invalid)?;
            let (head, content) = part.split_at(head_end);
            let head = String::from_utf8_lossy(head);
            let disposition = head
                .lines()
                .find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"));
            let name = disposition.and_then(|line| parameter(line, "name")).ok_or_else(invalid)?;
            parts.push((name, content.get(4..).unwrap_or_default()));
            rest = after.get(delimiter.len()..).unwrap_or_default();
        }
        Ok(Self { parts })
    }

    /// The content of a part.
    pub(super) fn part(&self, name: &str) -> Option<&'a [u8]> {
        self.parts.iter().find(|(known, _)| known == name).map(|(_, content)| *content)
    }

    /// The content of a part as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        String::from_utf8(self.part(name)?.to_vec()).ok()
    }
}

/// `name="value"` or `name=value` among the parameters of a header.
fn parameter(header: &str, name: &str) -> Option<String> {
    let value = header.split(';').find_map(|part| {
        let (known, value) = part.trim().split_once('=')?;
        known.eq_ignore_ascii_case(name).then_some(value)
    })?;
    Some(value.trim().trim_matches('"').to_owned())
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn parts_come_by_name_and_byte_for_byte_and_what_is_no_form_is_refused() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"format\"\r\n\r\ncsv\r\n\
            --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n\
            a,b\r\n--y,\xff\r\n\r\n--x--\r\n";
        let form = Form::parse("multipart/form-data; boundary=\"x\"", body).unwrap();
        assert_eq!(form.text("format").as_deref(), Some("csv"));
        assert_eq!(form.part("file"), Some(b"a,b\r\n--y,\xff\r\n".as_slice()));
        assert_eq!(form.part("other"), None);
        for (kind, body) in [
            ("application/json", b"{}".as_slice()),
            ("multipart/form-data", body),
            ("multipart/form-data; boundary=z", body),
            ("multipart/form-data; boundary=x", body.split_at(60).0),
        ] {
            assert!(Form::parse(kind, body).is_err(), "{kind}");
        }
    }
}
