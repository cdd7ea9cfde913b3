//! Pictures in text: a Gantt chart and the scratch curve under the same time axis.
//!
//! Pure: takes times and bytes, gives lines. What a column shows is the latest phase that the VM is
//! in during that column, so that no phase is lost in a wide one, however short.

use engine::Millis;
use engine::sim::Times;
use schemas::units::Bytes;

/// Columns of the names on the left.
const NAME: usize = 11;
/// Lines of the scratch curve.
const CURVE: u64 = 6;
/// Least columns of the time axis.
const AXIS_MIN: usize = 30;

/// One time axis over all charts.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    columns: usize,
    column: Millis,
}

impl Axis {
    /// From the origin to `end`, on a terminal of `width` columns with `right` of them kept free.
    pub fn new(end: Millis, width: usize, right: usize) -> Self {
        let columns = width.saturating_sub(NAME + 3 + right).max(AXIS_MIN);
        let column = Millis(end.0.div_ceil(columns as u64).max(1));
        Self { columns, column }
    }

    fn at(&self, column: usize) -> Millis {
        self.column * column as u64
    }

    /// Hours on the axis, as in `1 h`.
    pub fn scale(&self) -> String {
        let mut line = vec![b' '; self.columns + 8];
        for hour in 0.. {
            let at = Millis::from_minutes(60 * hour);
            let column = usize::try_from(at.0 / self.column.0).unwrap_or(usize::MAX);
            if column >= self.columns {
                break;
            }
            let label = format!("|{hour} h");
            let free = line[column..].iter().all(|b| *b == b' ');
            if free && column + label.len() <= line.len() {
                line[column..column + label.len()].copy_from_slice(label.as_bytes());
            }
        }
        let line = String::from_utf8_lossy(&line);
        format!("{:NAME$}   {}", "", line.trim_end())
    }

    /// One VM: its name, its phases, a word on the right.
    pub fn row(
        &self,
        name: &str,
        times: Option<&Times>,
        ended: Option<Millis>,
        word: &str,
    ) -> String {
        let bar: String = (0..self.columns)
            .map(|column| times.map_or(' ', |times| self.phase(times, ended, column)))
            .collect();
        let name: String = name.chars().take(NAME).collect();
        format!("{name:NAME$}   {bar} {word}").trim_end().to_owned()
    }

    /// What a column shows.
    fn phase(&self, times: &Times, ended: Option<Millis>, column: usize) -> char {
        let (from, to) = (self.at(column), self.at(column + 1));
        let within = |start: Option<Millis>, end: Option<Millis>| {
            start.is_some_and(|start| start < to && end.is_none_or(|end| end > from))
        };
        let over = times.ready.or(ended);
        let shown = [
            // The last one first: a short phase is not hidden by the long one before it.
            ('▲', within(times.machine, times.ready)),
            ('·', within(times.images_in, times.machine)),
            ('░', within(times.exported, times.images_in)),
            ('█', within(times.export_start, times.exported.or(over))),
            (
                '-',
                within(Some(times.created), times.export_start.or(over)),
            ),
        ];
        if times.ready.is_none() && within(ended, ended.map(|end| end + Millis(1))) {
            return '✗';
        }
        shown
            .iter()
            .find(|(_, is)| *is)
            .map_or(' ', |(symbol, _)| *symbol)
    }

    /// The scratch curve below `capacity`, with a line at `usable`; a column shows its highest
    /// value.
    pub fn curve(&self, curve: &[(Millis, Bytes)], usable: Bytes, capacity: Bytes) -> Vec<String> {
        let heights: Vec<Bytes> = (0..self.columns)
            .map(|column| highest(curve, self.at(column), self.at(column + 1)))
            .collect();
        let top = capacity.0.max(1);
        let limit = usable.0 * CURVE / top;
        (0..CURVE)
            .rev()
            .map(|line| {
                let floor = top * line / CURVE;
                let eighth = (top / CURVE / 8).max(1);
                let symbol = |held: &Bytes| match held.0.saturating_sub(floor) / eighth {
                    0 if held.0 > floor => '▁',
                    0 if line == limit => '┄',
                    0 => ' ',
                    1 => '▁',
                    2 => '▂',
                    3 => '▃',
                    4 => '▄',
                    5 => '▅',
                    6 => '▆',
                    7 => '▇',
                    _ => '█',
                };
                let bar: String = heights.iter().map(symbol).collect();
                let (left, right) = if line == limit {
                    ("scratch", format!(" {usable} usable"))
                } else {
                    ("", String::new())
                };
                format!("{left:>NAME$}   {bar}{right}")
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }
}

/// The most that is held between two times.
fn highest(curve: &[(Millis, Bytes)], from: Millis, to: Millis) -> Bytes {
    let first = curve.partition_point(|(at, _)| *at <= from);
    let inside = curve[first.saturating_sub(1)..].iter();
    let inside = inside.take_while(|(at, _)| *at < to);
    inside.map(|(_, bytes)| *bytes).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every phase of an import is there, in its order, and no line passes the width.
    #[test]
    fn a_row() {
        let minutes = |minutes| Some(Millis::from_minutes(minutes));
        let axis = Axis::new(Millis::from_minutes(100), 80, 10);
        let times = Times {
            created: Millis::from_minutes(10),
            off: minutes(15),
            export_start: minutes(16),
            exported: minutes(50),
            images_in: minutes(70),
            machine: minutes(78),
            ready: minutes(82),
            ..Times::default()
        };
        let row = axis.row("db-01", Some(&times), None, "54 min");
        let mut shown: Vec<char> = row.chars().skip(NAME).collect();
        shown.dedup();
        let shown: String = shown.into_iter().collect();
        assert_eq!(shown, " -█░·▲ 54 min");
        assert!(row.chars().count() <= 80);
    }

    // A column shows the highest value in it; the line at what is usable is seen where nothing
    // hides it.
    #[test]
    fn a_curve() {
        let axis = Axis::new(Millis::from_minutes(60), 60, 16);
        let gib = |gib| Bytes::from_gib(gib);
        let curve = [
            (Millis::ZERO, gib(0)),
            (Millis::from_minutes(10), gib(90)),
            (Millis::from_minutes(30), gib(45)),
            (Millis::from_minutes(50), gib(0)),
        ];
        let lines = axis.curve(&curve, gib(90), gib(100)).join("\n");
        let columns = |line: usize| lines.lines().nth(line).map(|line| line.replace(' ', ""));
        assert_eq!(
            columns(0).as_deref(),
            Some("scratch┄┄┄┄┄▃▃▃▃▃▃▃▃▃▃┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄90GiBusable")
        );
        assert!(lines.lines().all(|line| line.chars().count() <= 60));
    }
}
