//! When a VM moves.

use super::Subject;
use crate::report::Clock;

/// Its wave and its predicted times.
pub(super) fn lines(subject: &Subject<'_>) -> Vec<String> {
    let planned = subject.planned;
    let forecast = &planned.rendered.forecast;
    let clock = Clock::new(forecast.origin, &planned.report.time_zone);
    for (wave, rendered) in forecast.waves.iter().zip(&planned.rendered.waves) {
        let Some(place) = wave.imports.iter().position(|i| i.vm == *subject.key) else {
            continue;
        };
        let import = &wave.imports[place];
        return vec![format!(
            "wave {}, {} of {}: down from {} until {}, for {}",
            rendered.stem,
            place + 1,
            wave.imports.len(),
            clock.moment(import.off),
            clock.until(import.off, import.ready),
            import.downtime()
        )];
    }
    Vec::new()
}
