//! One layout for files that people write: indentation, spaces at line ends, blank lines, the line
//! that tells editors the schema. Words, comments and the order of keys stay as they are.
//!
//! Works line by line and then proves itself: the text means what it meant before, or it is left
//! alone.

use super::parse;

/// The text in our layout, or the text itself where it is no YAML of ours or where no layout could be
/// found that means the same. `schema` is the first line's address if no line has one yet.
pub fn format(text: &str, schema: &str) -> String {
    let before = parse::parse(text);
    let Some(value) = before.value.filter(|_| before.problems.is_empty()) else {
        return text.to_owned();
    };
    let laid_out = with_schema(&lay_out(text), schema);
    if parse::parse(&laid_out).value.as_ref() == Some(&value) {
        return laid_out;
    }
    // Perhaps a text over several lines: only what cannot change its meaning.
    let careful = with_schema(&ends(text), schema);
    if parse::parse(&careful).value == Some(value) {
        careful
    } else {
        text.to_owned()
    }
}

fn with_schema(text: &str, schema: &str) -> String {
    if text
        .lines()
        .any(|line| line.starts_with("# yaml-language-server:"))
    {
        text.to_owned()
    } else {
        format!("# yaml-language-server: $schema={schema}\n{text}")
    }
}

/// Line ends of one kind, and one at the end.
fn ends(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    format!("{}\n", text.trim_end_matches('\n'))
}

/// An open block: where its lines stood and where they stand now.
#[derive(Clone, Copy)]
struct Block {
    was: usize,
    now: usize,
    is_list: bool,
}

fn lay_out(text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut blocks: Vec<Block> = Vec::new();
    // Comments and blank lines wait for the line that they belong to.
    let mut waiting: Vec<(usize, usize, String)> = Vec::new();
    let mut open = Brackets::default();
    let mut inside = 0;
    for line in text.replace("\r\n", "\n").lines() {
        let bare = line.trim();
        let single = item(bare);
        let at = line.len() - line.trim_start().len();
        if bare.is_empty() {
            let again = waiting.last().is_some_and(|(_, _, last)| last.is_empty());
            if !(again || out.is_empty() && waiting.is_empty()) {
                waiting.push((0, 0, String::new()));
            }
            continue;
        }
        if bare.starts_with('#') && open.depth == 0 {
            // Beside a block that is still open, unless it stands with the line after it.
            let beside = blocks.iter().rev().find(|block| block.was <= at);
            let own = beside.map_or(0, |block| block.now + at - block.was);
            waiting.push((at, own, bare.to_owned()));
            continue;
        }
        let column = if open.depth > 0 {
            // Within a flow collection lines stand one step in.
            inside + 2
        } else {
            let now = place(&mut blocks, at, bare);
            inside = now;
            now
        };
        let column = if open.depth > 0 && bare.starts_with([']', '}']) {
            inside
        } else {
            column
        };
        for (stood, own, comment) in waiting.drain(..) {
            let column = if stood == at { column } else { own };
            out.push(indented(column, &comment));
        }
        let bare = if open.depth == 0 {
            single.as_deref().unwrap_or(bare)
        } else {
            bare
        };
        out.push(format!("{}{bare}", " ".repeat(column)));
        open.read(bare);
    }
    while waiting.last().is_some_and(|(_, _, last)| last.is_empty()) {
        waiting.pop();
    }
    out.extend(
        waiting
            .into_iter()
            .map(|(_, own, comment)| indented(own, &comment)),
    );
    format!("{}\n", out.join("\n"))
}

fn indented(column: usize, comment: &str) -> String {
    let spaces = if comment.is_empty() { 0 } else { column };
    format!("{}{comment}", " ".repeat(spaces))
}

/// An item of a list with one space after its dash.
fn item(bare: &str) -> Option<String> {
    let rest = bare.strip_prefix("- ")?;
    Some(format!("- {}", rest.trim_start()))
}

/// Where a line that stood at `at` stands now.
fn place(blocks: &mut Vec<Block>, at: usize, bare: &str) -> usize {
    let is_item = bare == "-" || bare.starts_with("- ");
    while blocks
        .last()
        .is_some_and(|block| block.was > at || (block.was == at && block.is_list && !is_item))
    {
        blocks.pop();
    }
    let now = match blocks.last() {
        Some(block) if block.was == at && block.is_list == is_item => block.now,
        // A list stands where its key does.
        Some(block) if is_item && !block.is_list => {
            let now = block.now;
            blocks.push(Block {
                was: at,
                now,
                is_list: true,
            });
            now
        }
        Some(block) => {
            let now = block.now + 2;
            blocks.push(Block {
                was: at,
                now,
                is_list: is_item,
            });
            now
        }
        None => {
            blocks.push(Block {
                was: at,
                now: 0,
                is_list: is_item,
            });
            0
        }
    };
    if is_item {
        // What follows the dash is a block of its own.
        let rest = bare[1..].trim_start();
        if !rest.is_empty() && !rest.starts_with(['{', '[', '"', '\'']) {
            let was = at + bare.len() - rest.len();
            blocks.push(Block {
                was,
                now: now + 2,
                is_list: false,
            });
        }
    }
    now
}

/// Open brackets of flow collections.
#[derive(Default)]
struct Brackets {
    depth: usize,
}

impl Brackets {
    /// Counts those of a line, outside of quotes and comments.
    fn read(&mut self, line: &str) {
        let mut quote = None;
        let mut last = ' ';
        let mut escaped = false;
        for c in line.chars() {
            match quote {
                Some('"') if escaped => escaped = false,
                Some('"') if c == '\\' => escaped = true,
                Some(open) if c == open => quote = None,
                Some(_) => {}
                None => match c {
                    '#' if last == ' ' => return,
                    '"' | '\'' if self.depth > 0 || matches!(last, ' ' | '[' | '{' | ',') => {
                        quote = Some(c);
                    }
                    '[' | '{' if self.depth > 0 || matches!(last, ' ' | '-' | ':') => {
                        self.depth += 1;
                    }
                    ']' | '}' if self.depth > 0 => self.depth -= 1,
                    _ => {}
                },
            }
            last = c;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "https://example/plan.schema.json";

    fn formatted(text: &str) -> String {
        let once = format(text, SCHEMA);
        assert_eq!(
            format(&once, SCHEMA),
            once,
            "the second time changes nothing"
        );
        once
    }

    // Indentation, line ends and blank lines; comments stay with what they speak of.
    #[test]
    fn layout() {
        let text = "# about\r\nspec:   \r\n    # the list\r\n    workloads:\r\n        - name: db   # first\r\n          select: [\r\n  { source: a },\r\n      { source: b }\r\n ]\r\n\r\n\r\n        -   name: app\r\n            dependsOn:\r\n                - db\r\n    # at the end\r\n    site: x\r\n\r\n";
        let wanted = "# yaml-language-server: $schema=https://example/plan.schema.json\n# about\nspec:\n  # the list\n  workloads:\n  - name: db   # first\n    select: [\n      { source: a },\n      { source: b }\n    ]\n\n  - name: app\n    dependsOn:\n    - db\n  # at the end\n  site: x\n";
        assert_eq!(formatted(text), wanted);
        let plain =
            "spec:\n    a:\n        - name: x\n          b: 1\n        - name: z\n    c: {d: 1}\n";
        assert_eq!(
            formatted(plain),
            "# yaml-language-server: $schema=https://example/plan.schema.json\nspec:\n  a:\n  - name: x\n    b: 1\n  - name: z\n  c: {d: 1}\n"
        );
    }

    // What would change its meaning, or is no YAML, stays as it is.
    #[test]
    fn careful() {
        for text in ["a: [1, 2", "a:\n\t- b\n", ": :\n  - -\n b"] {
            assert_eq!(format(text, SCHEMA), text);
        }
        let block = "# yaml-language-server: $schema=x\na: |\n  one\n\n\n  two  \nb: 1\n";
        let after = formatted(block);
        assert_eq!(parse::parse(&after).value, parse::parse(block).value);
    }
}
