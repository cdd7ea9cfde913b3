//! A schedule → the parts of `forecast.json`.

use schemas::forecast::{ImportForecast, ScratchForecast, WaveForecast};
use schemas::ids::WaveName;
use schemas::units::Seconds;

use super::{Schedule, ScratchUse, Slot};

/// Predicted times of one import.
pub fn import_forecast(slot: &Slot) -> ImportForecast {
    let times = slot.times;
    ImportForecast {
        vm: slot.vm.clone(),
        name: slot.name.clone(),
        created: times.created,
        off: times.off,
        export_start: times.export_start,
        exported: times.exported,
        images_in: times.images_in,
        machine: times.machine,
        ready: times.ready,
        gate: None,
        released: times.released,
    }
}

/// Predictions for a wave that consists of these slots, all on the target of that scratch.
pub fn wave_forecast<'a>(
    wave: WaveName,
    slots: impl IntoIterator<Item = &'a Slot>,
    scratch: &ScratchUse,
) -> WaveForecast {
    let mut imports: Vec<ImportForecast> = slots.into_iter().map(import_forecast).collect();
    imports.sort_by(|a, b| (a.created, &a.vm).cmp(&(b.created, &b.vm)));
    let starts = imports.iter().map(|import| import.off).min();
    let ends = imports.iter().map(|import| import.ready).max();
    let (starts, ends) = (starts.unwrap_or_default(), ends.unwrap_or_default());
    let last = imports.iter().map(|import| import.released).max();
    WaveForecast {
        wave,
        starts,
        ends,
        scratch_peak: scratch.peak_within(starts, last.unwrap_or(Seconds::ZERO)),
        imports,
    }
}

/// Scratch of every target.
pub fn scratch_forecast(schedule: &Schedule) -> Vec<ScratchForecast> {
    let forecast = |scratch: &ScratchUse| ScratchForecast {
        target: scratch.target.clone(),
        usable: scratch.usable,
        capacity: scratch.capacity,
        curve: scratch.curve.clone(),
    };
    schedule.scratch.iter().map(forecast).collect()
}
