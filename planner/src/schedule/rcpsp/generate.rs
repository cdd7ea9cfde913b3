//! A list of activities → a schedule.

use super::profile::{Cells, Profile, Steps};
use super::project::{Calendars, Network, Project, Side, Time};

/// Makes schedules of one project.
pub(super) enum Generator<'a> {
    Short(Passes<'a, Cells>),
    Long(Passes<'a, Steps>),
}

/// Schedule generation on one kind of profile.
pub(super) struct Passes<'a, P> {
    network: &'a Network,
    calendars: Calendars<'a>,
    profile: P,
}

impl<'a> Generator<'a> {
    pub fn new(project: &'a Project, network: &'a Network) -> Self {
        let calendars = Calendars::new(project, network);
        match Cells::new(project, &network.position) {
            Some(profile) => Self::Short(Passes {
                network,
                calendars,
                profile,
            }),
            None => Self::Long(Passes {
                network,
                calendars,
                profile: Steps::new(project, &network.position),
            }),
        }
    }

    /// Serial generation: each activity of the list in turn starts as early as it can; each must
    /// come after those before it. Gives the latest end; none if an activity finds no place in its
    /// calendar. Backwards, times count down from the `horizon`, which matters to calendars alone.
    pub fn serial(
        &mut self,
        side: Side,
        horizon: Time,
        list: &[u32],
        start: &mut [Time],
    ) -> Option<Time> {
        match self {
            Self::Short(passes) => passes.serial(side, horizon, list, start),
            Self::Long(passes) => passes.serial(side, horizon, list, start),
        }
    }
}

impl<P: Profile> Passes<'_, P> {
    fn serial(
        &mut self,
        side: Side,
        horizon: Time,
        list: &[u32],
        start: &mut [Time],
    ) -> Option<Time> {
        self.profile.clear();
        let mut end = 0;
        for activity in list {
            let before = self.network.before(side, *activity);
            let ends = before
                .iter()
                .map(|b| start[*b as usize] + self.network.duration[*b as usize]);
            let ready = ends.max().unwrap_or_default();
            let at = self.place(side, horizon, *activity, ready)?;
            self.profile.take(side, *activity, at);
            start[*activity as usize] = at;
            end = end.max(at + self.network.duration[*activity as usize]);
        }
        Some(end)
    }

    /// The first time from `ready` on that the calendar and the resources let the activity start.
    #[inline]
    fn place(&self, side: Side, horizon: Time, activity: u32, ready: Time) -> Option<Time> {
        if !self.calendars.bind(activity) {
            return Some(self.profile.fits_from(side, activity, ready));
        }
        let mut at = ready;
        loop {
            let open = self.calendars.open_from(side, horizon, activity, at)?;
            at = self.profile.fits_from(side, activity, open);
            if at == open {
                return Some(at);
            }
        }
    }
}
