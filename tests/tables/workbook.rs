//! Archives and workbooks, as others write them.

use std::io::Write as _;

pub fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A workbook as Excel writes it, in small. A cell that begins with `@` is a date of that serial
/// number.
#[expect(clippy::format_collect, reason = "a small workbook, once a test")]
pub fn workbook(sheets: &[(&str, Vec<Vec<&str>>)]) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    let sheet = |rows: &Vec<Vec<&str>>| {
        let rows: String = rows
            .iter()
            .zip(1..)
            .map(|(row, number)| {
                let cells: String = row
                    .iter()
                    .zip('A'..)
                    .map(|(cell, column)| match (cell.strip_prefix('@'), cell.parse::<f64>()) {
                        (Some(serial), _) => format!("<c r=\"{column}{number}\" s=\"1\"><v>{serial}</v></c>"),
                        (None, Ok(_)) => format!("<c r=\"{column}{number}\"><v>{cell}</v></c>"),
                        (None, Err(_)) => {
                            format!("<c r=\"{column}{number}\" t=\"inlineStr\"><is><t>{cell}</t></is></c>")
                        }
                    })
                    .collect();
                format!("<row r=\"{number}\">{cells}</row>")
            })
            .collect();
        format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>")
    };
    let numbered: Vec<_> = (1_usize..).zip(sheets).collect();
    let entries: String = numbered
        .iter()
        .map(|(number, (name, _))| {
            format!("<sheet name=\"{name}\" sheetId=\"{number}\" r:id=\"rId{number}\"/>")
        })
        .collect();
    let relations: String = numbered
        .iter()
        .map(|(number, _)| {
            format!("<Relationship Id=\"rId{number}\" Type=\"{office}/worksheet\" Target=\"worksheets/sheet{number}.xml\"/>")
        })
        .collect();
    let mut files = vec![
        (
            "[Content_Types].xml".to_owned(),
            format!(
                "<Types xmlns=\"{package}/content-types\"><Default Extension=\"xml\" ContentType=\"application/xml\"/></Types>"
            ),
        ),
        (
            "_rels/.rels".to_owned(),
            format!(
                "<Relationships xmlns=\"{package}/relationships\"><Relationship Id=\"rId1\" Type=\"{office}/officeDocument\" \
             Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml".to_owned(),
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets>{entries}</sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels".to_owned(),
            format!(
                "<Relationships xmlns=\"{package}/relationships\">{relations}<Relationship Id=\"rId99\" \
             Type=\"{office}/styles\" Target=\"styles.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/styles.xml".to_owned(),
            format!(
                "<styleSheet xmlns=\"{main}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"22\"/></cellXfs></styleSheet>"
            ),
        ),
    ];
    files.extend(
        numbered
            .iter()
            .map(|(number, (_, rows))| (format!("xl/worksheets/sheet{number}.xml"), sheet(rows))),
    );
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zipped(&files)
}
