//! What the README and `docs/` say to type exists: each command line parses, each setting and each
//! link is there.

use std::path::{Path, PathBuf};

use crate::support::{Run, binary};

/// The README and all pages, with their names.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    let at_the_top =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "sandbox/README.md"];
    files.extend(at_the_top.map(|name| root.join(name)));
    files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

/// The command lines of a page: whole lines in blocks of code, and code within the text.
fn command_lines(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, part) in page.split("```").enumerate() {
        if place % 2 == 1 {
            let whole = part.replace("\\\n", " ");
            lines.extend(whole.lines().map(|line| line.trim_start_matches("$ ").to_owned()));
        } else {
            lines.extend(part.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    lines
        .into_iter()
        .map(|line| line.split(" #").next().unwrap_or_default().replace('\n', " "))
        .filter(|line| line.starts_with("mkto-audit "))
        .collect()
}

/// The words of a line as a shell would split it, up to a pipe, with values in place of their
/// names.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (None, '|' | '>') => break,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    // A name in capitals stands for a value, of which some are numbers.
    let stands_for_a_value = |word: &String| word.chars().all(|c| c.is_ascii_uppercase());
    words.iter_mut().filter(|word| stands_for_a_value(word)).for_each(|word| *word = "1".into());
    words
}

#[test]
fn every_command_of_the_docs_parses() {
    let home = tempfile::tempdir().unwrap();
    let mut count = 0;
    for (page, text) in pages() {
        for line in command_lines(&text) {
            let words = words(&line);
            // Parsed with what follows; help is printed in place of the work.
            let run =
                Run::of(&mut binary(home.path(), words[1..].iter().chain([&"--help".to_owned()])));
            assert_eq!(run.code, Some(0), "{}: {line}\n{}", page.display(), run.picture());
            count += 1;
        }
    }
    assert!(count > 30, "only {count} commands were found");
}

#[test]
fn every_link_of_the_docs_leads_somewhere() {
    let anchor = |heading: &str| -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        heading
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect()
    };
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !part.is_empty() {
                let target = std::fs::read_to_string(&target).unwrap();
                let is_there = target
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|heading| anchor(heading) == part);
                assert!(is_there, "{}: {link}", page.display());
            }
        }
    }
}
