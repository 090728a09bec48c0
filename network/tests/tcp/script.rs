// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scripts, read. See the grammar in `main.rs`.

use crate::segment::Segment;
use core::time::Duration;

/// When something happens, counted from what came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    At(Duration),
    /// Of what the stack sends: not earlier, not later.
    Between(Duration, Duration),
}

#[derive(Clone, Debug)]
pub enum Event {
    /// A segment comes to the stack.
    Receive(Segment),
    /// The stack sends it.
    Send(Segment),
    /// Anything else, by its words.
    Call(Vec<String>),
}

#[derive(Clone, Debug)]
pub struct Line {
    pub number: usize,
    pub when: When,
    pub event: Event,
    /// As it stands in the script.
    pub text: String,
}

#[derive(Debug)]
pub struct Script {
    /// What it checks, in words, with the section that says so.
    pub rule: String,
    pub settings: Vec<Vec<String>>,
    pub lines: Vec<Line>,
}

/// `5`, `5ns`, `5us`, `5ms`, `5s`, `5min`, `5h`; with a fraction, too.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "" if number == "0" => 0.0,
        _ => return Err(format!("`{text}` is no time: 5ms, 1.5s")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is no time"))?;
    Ok(Duration::from_nanos((number * seconds * 1e9).round() as u64))
}

impl When {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text.split_once("..") {
            Some((from, to)) => Self::Between(duration(from)?, duration(to)?),
            None => Self::At(duration(text)?),
        })
    }
}

impl Script {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self { rule: String::new(), settings: vec![], lines: vec![] };
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let wrong = |what: String| format!("line {number}: {what}\n    {line}");
            let (line, comment) = line.split_once('#').unwrap_or((line, ""));
            if let Some(rule) = comment.trim().strip_prefix("RFC ").filter(|_| script.rule.is_empty()) {
                script.rule = format!("RFC {rule}");
            }
            let text = line.trim();
            if text.is_empty() {
                continue;
            }
            let (when, rest) = match text.strip_prefix('+') {
                Some(rest) => rest.split_once(char::is_whitespace).unwrap_or((rest, "quiet")),
                None => ("0", text),
            };
            let (when, rest) = (When::parse(when).map_err(wrong)?, rest.trim());
            let segment = |text: &str| Segment::parse(text).map_err(wrong);
            let words = || -> Vec<String> { rest.split_whitespace().map(Into::into).collect() };
            let event = match rest.chars().next() {
                Some('<') => Event::Receive(segment(&rest[1..])?),
                Some('>') => Event::Send(segment(&rest[1..])?),
                _ if rest.starts_with("set ") => {
                    script.settings.push(words().split_off(1));
                    continue;
                }
                _ => Event::Call(words()),
            };
            if !matches!(event, Event::Send(_)) && matches!(when, When::Between(..)) {
                return Err(wrong("only the stack may choose its time".into()));
            }
            script.lines.push(Line { number, when, event, text: text.into() });
        }
        if !script.rule.contains(" section ") || !script.rule.contains(": ") {
            return Err("it does not begin with `# RFC N section S: the rule`".into());
        }
        Ok(script)
    }
}
