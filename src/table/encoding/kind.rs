//! The encodings that are known, and their names.

/// An encoding of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// With or without a byte order mark.
    Utf8,
    /// What Excel calls Unicode text.
    Utf16Le,
    /// The same with the bytes of each unit exchanged.
    Utf16Be,
    /// A code page of the WHATWG's list, `macintosh` among them.
    Page(&'static encoding_rs::Encoding),
    /// Code page 850: Excel's "CSV (MS-DOS)".
    Dos,
}

/// The upper half of code page 850.
const DOS: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤\
                   ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

impl Encoding {
    /// Whether it can hold every letter.
    pub fn is_unicode(self) -> bool {
        match self {
            Self::Utf8 | Self::Utf16Le | Self::Utf16Be => true,
            Self::Page(page) => page == encoding_rs::UTF_8,
            Self::Dos => false,
        }
    }

    /// By a name that people use: `windows-1252`, `latin1`, `mac`, `cp850`, `utf-16le`,
    /// `shift_jis`.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        Some(match name.as_str() {
            "utf8" | "utf-8" => Self::Utf8,
            "utf16" | "utf-16" | "utf16le" | "utf-16le" => Self::Utf16Le,
            "utf16be" | "utf-16be" => Self::Utf16Be,
            "mac" | "macroman" | "mac-roman" | "macintosh" => Self::Page(encoding_rs::MACINTOSH),
            "cp850" | "850" | "ibm850" | "cp437" | "ms-dos" | "dos" => Self::Dos,
            "ansi" => Self::Page(encoding_rs::WINDOWS_1252),
            other => {
                let other = other
                    .strip_prefix("cp")
                    .map_or(other.to_owned(), |page| format!("windows-{page}"));
                let page = encoding_rs::Encoding::for_label(other.as_bytes())?;
                match page {
                    page if page == encoding_rs::UTF_8 => Self::Utf8,
                    page if page == encoding_rs::REPLACEMENT => return None,
                    page => Self::Page(page),
                }
            }
        })
    }

    /// Its name, as messages have it.
    pub fn name(self) -> String {
        match self {
            Self::Utf8 => "UTF-8".to_owned(),
            Self::Utf16Le | Self::Utf16Be => "UTF-16".to_owned(),
            Self::Page(page) if page == encoding_rs::MACINTOSH => "Mac OS Roman".to_owned(),
            Self::Page(page) => page.name().replace("windows-", "Windows-"),
            Self::Dos => "code page 850 (MS-DOS)".to_owned(),
        }
    }

    /// The text of some bytes; what does not fit becomes the replacement character.
    pub(in crate::table) fn text(self, bytes: &[u8]) -> String {
        match self.page() {
            Some(page) => page.decode_without_bom_handling(bytes).0.into_owned(),
            None if self == Self::Dos => bytes.iter().map(|byte| dos(*byte)).collect(),
            None => String::from_utf8_lossy(bytes).into_owned(),
        }
    }

    pub(super) fn page(self) -> Option<&'static encoding_rs::Encoding> {
        match self {
            Self::Utf8 | Self::Dos => None,
            Self::Utf16Le => Some(encoding_rs::UTF_16LE),
            Self::Utf16Be => Some(encoding_rs::UTF_16BE),
            Self::Page(page) => Some(page),
        }
    }
}

pub(super) fn dos(byte: u8) -> char {
    match byte.checked_sub(0x80) {
        None => char::from(byte),
        Some(place) => DOS.chars().nth(place.into()).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}
