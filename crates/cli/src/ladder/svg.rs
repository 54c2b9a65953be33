//! Ladder as an SVG picture.

use core::fmt::Write;
use core::time::Duration;

use super::layout::Layout;
use super::model::{Flags, Ladder, Step};
use super::text::milliseconds;
use crate::lab::Direction;
use crate::state::State;

/// Draws a ladder as a picture: SVG text that depends on nothing but the ladder, light or dark as
/// the reader prefers.
#[must_use]
pub fn to_svg(ladder: &Ladder) -> String {
    let layout = Layout::of(ladder);
    let mut picture = Picture {
        svg: String::new(),
        layout,
    };
    picture.open(ladder);
    picture.header(ladder);
    picture.lifelines(ladder);
    for index in 0..ladder.steps.len() {
        picture.step(ladder, index);
    }
    picture.legend();
    picture.line("</svg>");
    picture.svg
}

struct Picture {
    svg: String,
    layout: Layout,
}

impl Picture {
    fn open(&mut self, ladder: &Ladder) {
        let height = AXIS_TOP + self.layout.height + LEGEND_HEIGHT;
        let title = escape(&ladder.title);
        let summary = format!(
            "{} segments between {} and {}, with the TCP state at both ends",
            ladder.steps.len(),
            ladder.left,
            ladder.right
        );
        self.line(&format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="t d">"#
        ));
        self.line(&format!(r#"<title id="t">{title}</title>"#));
        self.line(&format!(r#"<desc id="d">{}</desc>"#, escape(&summary)));
        self.line(&format!("<style>{}</style>", css()));
        self.line(DEFINITIONS);
        self.line(&format!(
            r#"<rect class="paper" width="{WIDTH}" height="{height}"/>"#
        ));
    }

    fn header(&mut self, ladder: &Ladder) {
        let middle = u32::midpoint(LEFT, RIGHT);
        self.text(middle, 38, "title middle", &ladder.title);
        let subtitle = "relative sequence and acknowledgement numbers; each arrow runs from departure to arrival";
        self.text(middle, 60, "quiet middle", subtitle);
        for (x, name) in [(LEFT, &ladder.left), (RIGHT, &ladder.right)] {
            let (who, address) = name.rsplit_once(' ').unwrap_or((name.as_str(), ""));
            self.text(x, 96, "name middle", who);
            self.text(x, 113, "mono quiet middle", address);
        }
        let unit = AXIS_TOP - 12;
        self.text(LEFT - TIME_GAP, unit, "quiet end", "ms");
        self.text(RIGHT + TIME_GAP, unit, "quiet", "ms");
        self.text(
            LEFT - CHIP_GAP - CHIP_WIDTH / 2,
            unit,
            "quiet middle",
            "state",
        );
        self.text(
            RIGHT + CHIP_GAP + CHIP_WIDTH / 2,
            unit,
            "quiet middle",
            "state",
        );
    }

    fn lifelines(&mut self, ladder: &Ladder) {
        let end = self.layout.height;
        for (x, chip_x, who, left) in [
            (LEFT, LEFT - CHIP_GAP - CHIP_WIDTH, &ladder.left, true),
            (RIGHT, RIGHT + CHIP_GAP, &ladder.right, false),
        ] {
            let states = if left {
                &self.layout.left
            } else {
                &self.layout.right
            }
            .clone();
            for (index, &(y, state)) in states.iter().enumerate() {
                let until = states.get(index + 1).map_or(end, |next| next.0);
                let group = Group::of(state);
                self.line(&format!(
                    r#"<g class="{}"><title>{}: {state}</title>"#,
                    group.class(),
                    escape(who)
                ));
                self.line(&format!(
                    r#"<rect class="band" x="{}" y="{}" width="{BAND}" height="{}" rx="3"/>"#,
                    x - BAND / 2,
                    AXIS_TOP + y,
                    until - y
                ));
                self.chip(chip_x, AXIS_TOP + y.max(CHIP_HEIGHT / 2), state);
                self.line("</g>");
            }
        }
    }

    /// A state's name in a frame, after the shape of its group.
    fn chip(&mut self, x: u32, middle: u32, state: State) {
        let top = middle - CHIP_HEIGHT / 2;
        self.line(&format!(
            r#"<rect class="chip" x="{x}" y="{top}" width="{CHIP_WIDTH}" height="{CHIP_HEIGHT}" rx="10"/>"#
        ));
        self.line(&Group::of(state).shape(x + 13, middle));
        self.text(x + 24, middle + 4, "state", state.name());
    }

    fn step(&mut self, ladder: &Ladder, index: usize) {
        let (Some(step), Some(&(departed, arrived))) =
            (ladder.steps.get(index), self.layout.steps.get(index))
        else {
            return;
        };
        let (from, to, (left_time, left_y), (right_time, right_y)) = match step.direction {
            Direction::ToRight => (
                LEFT + REACH,
                RIGHT - REACH,
                (step.departed, departed),
                (step.arrived, arrived),
            ),
            Direction::ToLeft => (
                RIGHT - REACH,
                LEFT + REACH,
                (step.arrived, arrived),
                (step.departed, departed),
            ),
        };
        let (y_from, y_to) = (AXIS_TOP + departed, AXIS_TOP + arrived);
        let kind = Kind::of(step);
        self.line(&format!(
            r#"<g class="{}"><title>{}</title>"#,
            kind.class(),
            escape(&tooltip(ladder, index, step))
        ));
        self.line(&format!(
            r#"<line class="shaft" x1="{from}" y1="{y_from}" x2="{to}" y2="{y_to}" marker-end="url(#{})"/>"#,
            kind.marker()
        ));
        self.line(&kind.origin(from, y_from));
        self.label(step, left_y, right_y);
        self.line("</g>");
        self.time(LEFT - TIME_GAP, left_y, "time end", left_time);
        self.time(RIGHT + TIME_GAP, right_y, "time", right_time);
    }

    /// The label lies on its arrow.
    fn label(&mut self, step: &Step, left_y: u32, right_y: u32) {
        let run = f64::from(RIGHT - LEFT - 2 * REACH);
        let rise = f64::from(right_y) - f64::from(left_y);
        let angle = (rise / run).atan().to_degrees();
        let (x, y) = (
            u32::midpoint(LEFT, RIGHT),
            AXIS_TOP + u32::midpoint(left_y, right_y),
        );
        let mut note = String::new();
        if !step.note.is_empty() {
            note = format!(
                r#"<tspan class="note" dx="10">{}</tspan>"#,
                escape(&step.note)
            );
        }
        self.line(&format!(
            r#"<text class="label middle" x="{x}" y="{}" transform="rotate({angle:.2} {x} {y})"><tspan class="flags">{}</tspan>{}{note}</text>"#,
            y - 6,
            step.flags,
            escape(step.label().strip_prefix(&step.flags.to_string()).unwrap_or_default()),
        ));
    }

    fn time(&mut self, x: u32, y: u32, class: &str, time: Duration) {
        self.text(x, AXIS_TOP + y + 4, class, &milliseconds(time));
    }

    fn legend(&mut self) {
        let top = AXIS_TOP + self.layout.height + 34;
        self.line(&format!(
            r#"<line class="rule" x1="{MARGIN}" y1="{0}" x2="{1}" y2="{0}"/>"#,
            top - 22,
            WIDTH - MARGIN
        ));
        let mut x = MARGIN + 8;
        for (group, name, width) in [
            (Group::Idle, "closed, listening", 150),
            (Group::Opening, "opening", 105),
            (Group::Open, "established", 125),
            (Group::Closing, "closing", 100),
            (Group::TimeWait, "TIME-WAIT", 0),
        ] {
            self.line(&format!(
                r#"<g class="{}">{}</g>"#,
                group.class(),
                group.shape(x + 6, top)
            ));
            self.text(x + 20, top + 4, "quiet", name);
            x += width;
        }
        let mut x = MARGIN + 8;
        for (kind, name, width) in [
            (Kind::Control, "SYN or FIN", 150),
            (Kind::Data, "data", 105),
            (Kind::Ack, "acknowledgement only", 230),
            (Kind::Reset, "reset", 0),
        ] {
            let y = top + 28;
            self.line(&format!(
                r#"<g class="{}"><line class="shaft" x1="{}" y1="{y}" x2="{}" y2="{y}" marker-end="url(#{})"/>{}</g>"#,
                kind.class(),
                x + 2,
                x + 40,
                kind.marker(),
                kind.origin(x + 2, y)
            ));
            self.text(x + 54, y + 4, "quiet", name);
            x += width;
        }
        self.text(
            WIDTH - MARGIN,
            top + 4,
            "quiet end",
            "time runs downwards, in ms;",
        );
        self.text(
            WIDTH - MARGIN,
            top + 32,
            "quiet end",
            "distances are logarithmic",
        );
    }

    fn text(&mut self, x: u32, y: u32, class: &str, text: &str) {
        self.line(&format!(
            r#"<text class="{class}" x="{x}" y="{y}">{}</text>"#,
            escape(text)
        ));
    }

    fn line(&mut self, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.svg, "{text}");
    }
}

fn tooltip(ladder: &Ladder, index: usize, step: &Step) -> String {
    let (from, to) = match step.direction {
        Direction::ToRight => (&ladder.left, &ladder.right),
        Direction::ToLeft => (&ladder.right, &ladder.left),
    };
    format!(
        "{}. {} - from {from} at {} ms, to {to} at {} ms; then left {}, right {}",
        index + 1,
        step.label(),
        milliseconds(step.departed),
        milliseconds(step.arrived),
        step.left_state,
        step.right_state
    )
}

/// States that mean the same to a reader share colour and shape.
#[derive(Clone, Copy)]
enum Group {
    Idle,
    Opening,
    Open,
    Closing,
    TimeWait,
}

impl Group {
    fn of(state: State) -> Self {
        match state {
            State::Closed | State::Listen => Self::Idle,
            State::SynSent | State::SynReceived => Self::Opening,
            State::Established => Self::Open,
            State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => Self::Closing,
            State::TimeWait => Self::TimeWait,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::TimeWait => "timewait",
        }
    }

    fn shape(self, x: u32, y: u32) -> String {
        match self {
            Self::Idle => format!(r#"<circle class="hollow" cx="{x}" cy="{y}" r="4"/>"#),
            Self::Opening => format!(r#"<path class="shape" d="M{x} {}l5 9h-10z"/>"#, y - 5),
            Self::Open => format!(r#"<circle class="shape" cx="{x}" cy="{y}" r="5"/>"#),
            Self::Closing => format!(
                r#"<path class="shape" d="M{x} {}l6 6l-6 6l-6 -6z"/>"#,
                y - 6
            ),
            Self::TimeWait => format!(
                r#"<rect class="shape" x="{}" y="{}" width="9" height="9"/>"#,
                x - 4,
                y - 4
            ),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Control,
    Data,
    Ack,
    Reset,
}

impl Kind {
    fn of(step: &Step) -> Self {
        if step.flags.has(Flags::RST) {
            Self::Reset
        } else if step.flags.has(Flags(Flags::SYN.0 | Flags::FIN.0)) {
            Self::Control
        } else if step.len > 0 {
            Self::Data
        } else {
            Self::Ack
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Data => "data",
            Self::Ack => "ack",
            Self::Reset => "reset",
        }
    }

    fn marker(self) -> &'static str {
        match self {
            Self::Control => "head-control",
            Self::Data => "head-data",
            Self::Ack => "head-ack",
            Self::Reset => "head-reset",
        }
    }

    /// The mark where an arrow begins.
    fn origin(self, x: u32, y: u32) -> String {
        match self {
            Self::Control => format!(
                r#"<rect class="shape" x="{}" y="{}" width="8" height="8"/>"#,
                x - 4,
                y - 4
            ),
            Self::Data => format!(r#"<circle class="shape" cx="{x}" cy="{y}" r="4"/>"#),
            Self::Ack => format!(r#"<circle class="hollow" cx="{x}" cy="{y}" r="3"/>"#),
            Self::Reset => format!(
                r#"<path class="cross" d="M{} {}l8 8m0 -8l-8 8"/>"#,
                x - 4,
                y - 4
            ),
        }
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 section 2.2 has no other control characters.
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

const WIDTH: u32 = 1000;
const MARGIN: u32 = 24;
const LEFT: u32 = 256;
const RIGHT: u32 = WIDTH - LEFT;
const AXIS_TOP: u32 = 150;
const LEGEND_HEIGHT: u32 = 92;
/// Width of the coloured band along a lifeline.
const BAND: u32 = 10;
/// From a lifeline to where arrows begin and end.
const REACH: u32 = 12;
const TIME_GAP: u32 = 16;
const CHIP_GAP: u32 = 84;
const CHIP_WIDTH: u32 = 134;
const CHIP_HEIGHT: u32 = 22;

/// The colours of a picture, after Okabe and Ito: told apart with any colour vision, and dark or
/// light enough for their paper.
struct Palette {
    paper: &'static str,
    ink: &'static str,
    quiet: &'static str,
    rule: &'static str,
    idle: &'static str,
    opening: &'static str,
    open: &'static str,
    closing: &'static str,
    time_wait: &'static str,
    reset: &'static str,
}

const LIGHT: Palette = Palette {
    paper: "#ffffff",
    ink: "#1b1f24",
    quiet: "#57606a",
    rule: "#d0d7de",
    idle: "#7a828b",
    opening: "#b97700",
    open: "#00805d",
    closing: "#0067a3",
    time_wait: "#a8487f",
    reset: "#c24a00",
};

const DARK: Palette = Palette {
    paper: "#0d1117",
    ink: "#e6edf3",
    quiet: "#9aa4af",
    rule: "#30363d",
    idle: "#8b949e",
    opening: "#e69f00",
    open: "#1fc495",
    closing: "#56b4e9",
    time_wait: "#e093bf",
    reset: "#ff7b39",
};

impl Palette {
    /// Plain rules, without custom properties, which many viewers of SVG do not know.
    fn rules(&self) -> String {
        let Self {
            paper,
            ink,
            quiet,
            rule,
            ..
        } = self;
        let mut css = format!(
            "text{{fill:{ink}}}.paper{{fill:{paper}}}.quiet,.time,.note{{fill:{quiet}}}.rule{{stroke:{rule}}}.label{{stroke:{paper}}}\n"
        );
        for (class, hue) in [
            ("idle", self.idle),
            ("opening", self.opening),
            ("control", self.opening),
            ("open", self.open),
            ("closing", self.closing),
            ("data", self.closing),
            ("timewait", self.time_wait),
            ("ack", quiet),
            ("reset", self.reset),
        ] {
            let _ = writeln!(
                css,
                ".{class} .shape,.{class} .band,.{class} .chip,#head-{class} path{{fill:{hue}}}.{class} .chip,.{class} .hollow,.{class} .cross,.{class} .shaft{{stroke:{hue}}}"
            );
        }
        let _ = writeln!(
            css,
            ".hollow{{fill:{paper}}}#head-ack path{{fill:none;stroke:{quiet}}}"
        );
        css
    }
}

fn css() -> String {
    format!(
        "\n{SHAPES}{}@media (prefers-color-scheme:dark){{\n{}}}\n",
        LIGHT.rules(),
        DARK.rules()
    )
}

/// What does not depend on the palette.
const SHAPES: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
.title{font-size:20px;font-weight:650}.name{font-size:15px;font-weight:650}.quiet{font-size:12px}
.middle{text-anchor:middle}.end{text-anchor:end}
.mono,.time,.label{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
.time{font-size:11.5px}.flags{font-weight:700}.note{font-size:11px}.state{font-size:11.5px;font-weight:600}
.label{font-size:12px;stroke-width:4px;stroke-linejoin:round;paint-order:stroke}
.band{fill-opacity:.85}.idle .band{fill-opacity:.3}.chip{fill-opacity:.12;stroke-opacity:.75}
.hollow{stroke-width:1.6}.cross{fill:none;stroke-width:2.4}
.shaft{stroke-width:1.6}.control .shaft,.reset .shaft{stroke-width:2.6}.ack .shaft{stroke-dasharray:5 4;stroke-width:1.3}
#head-ack path{stroke-width:1.4}g:hover>.shaft{stroke-width:3.4}
";

const DEFINITIONS: &str = r#"<defs>
<marker id="head-control" markerUnits="userSpaceOnUse" markerWidth="14" markerHeight="12" refX="12" refY="6" orient="auto"><path d="M0 0L13 6L0 12z"/></marker>
<marker id="head-data" markerUnits="userSpaceOnUse" markerWidth="12" markerHeight="10" refX="10" refY="5" orient="auto"><path d="M0 0L11 5L0 10z"/></marker>
<marker id="head-ack" markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="10" refX="9" refY="5" orient="auto"><path d="M1 1L9 5L1 9"/></marker>
<marker id="head-reset" markerUnits="userSpaceOnUse" markerWidth="14" markerHeight="12" refX="12" refY="6" orient="auto"><path d="M0 0L13 6L0 12z"/></marker>
</defs>"#;

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_picture_is_exactly_this() {
        sample::assert_snapshot("ladder.svg", &to_svg(&sample::ladder()));
    }

    #[test]
    fn text_from_outside_cannot_break_the_markup() {
        let mut ladder = sample::ladder();
        ladder.title = "</title><script>&\"\u{1b}".into();
        ladder.steps[0].note = "<b>".into();
        let svg = to_svg(&ladder);
        assert!(!svg.contains("<script>") && !svg.contains("<b>") && !svg.contains('\u{1b}'));
        assert!(svg.contains("&lt;/title&gt;&lt;script&gt;&amp;&quot; "));
    }

    #[test]
    fn an_empty_ladder_is_a_picture_too() {
        let mut ladder = sample::ladder();
        ladder.steps.clear();
        let svg = to_svg(&ladder);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn every_segment_has_a_tooltip() {
        let ladder = sample::ladder();
        let svg = to_svg(&ladder);
        assert_eq!(svg.matches("ms; then left").count(), ladder.steps.len());
    }
}
