//! Vertical layout of a ladder's picture.

use core::time::Duration;

use super::model::Ladder;
use crate::lab::Direction;
use crate::state::State;

/// Where each step and state goes on the vertical axis, in whole pixels below the axis's begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Departure and arrival of each step.
    pub(super) steps: Vec<(u32, u32)>,
    /// The left end's states and where each begins.
    pub(super) left: Vec<(u32, State)>,
    /// The right end's states and where each begins.
    pub(super) right: Vec<(u32, State)>,
    /// The axis's length.
    pub(super) height: u32,
}

impl Layout {
    /// Spreads events so that their labels do not touch, and longer times are longer distances up
    /// to a limit.
    pub(super) fn of(ladder: &Ladder) -> Self {
        let mut events: Vec<(Duration, usize, bool)> = Vec::new();
        for (index, step) in ladder.steps.iter().enumerate() {
            events.push((step.departed, index, false));
            events.push((step.arrived, index, true));
        }
        events.sort();
        let mut layout = Self {
            steps: vec![(0, 0); ladder.steps.len()],
            left: vec![(0, ladder.left_start)],
            right: vec![(0, ladder.right_start)],
            height: 0,
        };
        let mut y = TOP;
        let mut before = Duration::ZERO;
        for (time, index, arrival) in events {
            if time > Duration::ZERO {
                y += distance(time.saturating_sub(before));
            }
            before = time;
            let (Some(step), Some(place)) = (ladder.steps.get(index), layout.steps.get_mut(index))
            else {
                continue;
            };
            *(if arrival { &mut place.1 } else { &mut place.0 }) = y;
            let at_left = (step.direction == Direction::ToRight) != arrival;
            let (states, state) = if at_left {
                (&mut layout.left, step.left_state)
            } else {
                (&mut layout.right, step.right_state)
            };
            if states.last().is_some_and(|&(_, last)| last != state) {
                states.push((y, state));
            }
        }
        layout.height = y + BOTTOM;
        layout
    }
}

/// Pixels for a span of time: logarithmic, so that microseconds and seconds fit in one picture.
fn distance(span: Duration) -> u32 {
    let units = u64::try_from(span.as_micros()).unwrap_or(u64::MAX) / 50;
    (MIN_DISTANCE + 5 * units.saturating_add(1).ilog2()).min(MAX_DISTANCE)
}

const TOP: u32 = 46;
const BOTTOM: u32 = 40;
const MIN_DISTANCE: u32 = 22;
const MAX_DISTANCE: u32 = 52;

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn time_only_runs_downwards() {
        let ladder = sample::ladder();
        let layout = Layout::of(&ladder);
        assert_eq!(layout.steps.len(), ladder.steps.len());
        assert!(
            layout
                .steps
                .iter()
                .all(|(departed, arrived)| departed < arrived)
        );
        assert!(layout.steps.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(
            layout
                .steps
                .iter()
                .all(|&(_, arrived)| arrived < layout.height)
        );
    }

    #[test]
    fn each_state_change_has_its_place_once() {
        let ladder = sample::ladder();
        let layout = Layout::of(&ladder);
        let names =
            |states: &[(u32, State)]| states.iter().map(|&(_, state)| state).collect::<Vec<_>>();
        assert_eq!(names(&layout.left), ladder.left_states());
        assert_eq!(names(&layout.right), ladder.right_states());
        assert!(layout.left.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn distances_are_bounded() {
        assert_eq!(distance(Duration::ZERO), MIN_DISTANCE);
        assert_eq!(distance(Duration::MAX), MAX_DISTANCE);
        assert!(distance(Duration::from_micros(50)) > MIN_DISTANCE);
    }
}
