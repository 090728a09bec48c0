// SPDX-License-Identifier: MIT OR Apache-2.0
//! Citations of RFCs in comments, and the doc comments of tests.

/// One section of an RFC; no numbers stand for the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    pub rfc: u32,
    pub section: Vec<u32>,
}

/// All citations of a text, whose comments may go on from line to line.
pub fn citations(text: &str) -> Vec<Citation> {
    let joined: Vec<_> = text.lines().map(|line| line.trim().trim_start_matches(['/', '!']).trim()).collect();
    let joined = joined.join(" ");
    let mut found = Vec::new();
    for rest in joined.split("RFC").skip(1) {
        let rest = rest.strip_prefix('s').unwrap_or(rest).trim_start();
        let Some((rfc, mut rest)) = number(rest).filter(|(rfc, _)| *rfc >= 100) else { continue };
        let before = found.len();
        let mut named = false;
        while let Some((section, behind)) = next_section(rest, &mut named) {
            found.push(Citation { rfc, section });
            rest = behind;
        }
        if found.len() == before {
            found.push(Citation { rfc, section: Vec::new() });
        }
    }
    found
}

/// The number at the front, and what follows.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text.get(..end)?.parse().ok()?, text.get(end..)?))
}

/// The section at the front: behind a word or a sign that says so, behind a comma if it has a dot, or behind another one.
fn next_section<'a>(text: &'a str, named: &mut bool) -> Option<(Vec<u32>, &'a str)> {
    let comma = text.strip_prefix(',');
    let rest = comma.unwrap_or(text).trim_start();
    let (and, rest) = rest.strip_prefix("and ").map_or((false, rest), |rest| (true, rest));
    let signed = ["§", "sections ", "section "].into_iter().find_map(|sign| rest.strip_prefix(sign));
    let (mut numbers, mut rest) = (Vec::new(), signed.unwrap_or(rest).trim_start());
    loop {
        let (part, behind) = number(rest)?;
        numbers.push(part);
        let part_of_it = behind.strip_prefix('.').filter(|behind| behind.starts_with(|c: char| c.is_ascii_digit()));
        rest = part_of_it.unwrap_or(behind);
        if part_of_it.is_none() {
            break;
        }
    }
    let is_one = signed.is_some() || (comma.is_some() && numbers.len() > 1) || (*named && (and || comma.is_some()));
    *named |= signed.is_some();
    // A letter names a paragraph.
    let bytes = rest.as_bytes();
    if let [b' ', letter, behind, ..] = bytes
        && letter.is_ascii_lowercase()
        && !behind.is_ascii_alphanumeric()
        && *behind != b' '
    {
        rest = rest.get(2..)?;
    }
    is_one.then_some((numbers, rest))
}

/// Name and doc comment of each test of a file.
pub fn tests_of(text: &str) -> Vec<(String, String)> {
    let (mut doc, mut is_test, mut found) = (String::new(), false, Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            doc.push_str(comment);
            doc.push('\n');
        } else if line == "#[test]" {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
            let name = rest.split('(').next().unwrap_or_default();
            found.push((name.to_owned(), core::mem::take(&mut doc)));
            is_test = false;
        } else if !line.starts_with("#[") {
            doc.clear();
            is_test = false;
        }
    }
    found
}

#[test]
fn citations_are_read_as_people_write_them() {
    let sections = |text: &str| {
        let found = citations(text).into_iter().map(|one| {
            let numbers: Vec<_> = one.section.iter().map(u32::to_string).collect();
            format!("{}:{}", one.rfc, numbers.join("."))
        });
        found.collect::<Vec<_>>().join(" ")
    };
    for (text, expected) in [
        ("RFC 826 says", "826:"),
        ("(RFC 1122 section 3.2.2)", "1122:3.2.2"),
        ("RFC 791 §2.3, RFC 8200 §4.5 e; more", "791:2.3 8200:4.5"),
        ("RFC 4861 sections 6.3.4, 7.2.3 and 7.2.5.", "4861:6.3.4 4861:7.2.3 4861:7.2.5"),
        ("RFC 5227, 2.1.1, and RFC 826, 3 times", "5227:2.1.1 826:"),
        ("/// RFC 1122\n/// section 3.3.2, at most 60 s", "1122:3.3.2"),
        ("RFC 3376 section 7.2.1 and 8.12, RFC 3810 §9", "3376:7.2.1 3376:8.12 3810:9"),
        ("RFC 1812 §4.3.2.8 g; RFC 4443 §2.4 f, where 3 are enough", "1812:4.3.2.8 4443:2.4"),
        ("the RFC leaves it", ""),
    ] {
        assert_eq!(sections(text), expected, "{text}");
    }
}
