//! Text form of a test: a line per interval and connection, then the sums.

use core::fmt::Write;
use core::time::Duration;

use indicatif::HumanBytes;

use super::client::{Interval, Moved, Record};
use super::document::{Sum, Totals, per_second};
use super::plan::{Mode, Plan};
use super::server::Served;
use crate::style::{BOLD, DIM, Style};
use crate::traffic::Latency;

/// Heading of the intervals.
pub(super) fn heading(style: Style) -> String {
    let columns = format!(
        "{:<6} {:>15}  {:>11}  {:>13}  {:>5}  {:>10}  {:>9}",
        "stream", "seconds", "transfer", "rate", "retr", "cwnd", "rtt"
    );
    format!("{}\n", style.paint(DIM, &columns))
}

/// One interval: its connections, and their sum where there are several.
pub(super) fn interval(interval: &Interval) -> String {
    let mut text = String::new();
    let (start, end) = (interval.start, interval.end);
    for Moved {
        stream,
        sender,
        bytes,
        info,
    } in &interval.streams
    {
        let name = format!("{stream} {}", if *sender { "→" } else { "←" });
        text.push_str(&line(&name, start, end, *bytes));
        if let Some(info) = info {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "  {:>5}  {:>10}  {:>6} µs",
                info.retransmits,
                HumanBytes(info.snd_cwnd).to_string(),
                info.rtt
            );
        }
        text.push('\n');
    }
    if interval.streams.len() > 1 {
        let sum = interval.streams.iter().map(|moved| moved.bytes).sum();
        text.push_str(&line("sum", start, end, sum));
        text.push('\n');
    }
    text
}

/// What both ends found in all.
pub(super) fn sums(plan: &Plan, record: &Record, style: Style) -> String {
    let mut text = String::from("\n");
    match plan.mode {
        Mode::Send | Mode::Receive | Mode::Both => {
            let totals = Totals::new(record);
            for (by_client, way) in [(true, "client → server"), (false, "server → client")] {
                for (sum, who) in [
                    (totals.sent(by_client), "sent"),
                    (totals.received(by_client), "received"),
                ] {
                    if let Some(sum) = sum {
                        text.push_str(&total(way, who, &sum, style));
                    }
                }
            }
        }
        Mode::RoundTrip => {
            let what = format!("round trips of {} bytes", plan.length);
            text.push_str(&times(&what, &record.latency, record.seconds, style));
        }
        Mode::Connect => {
            let what = "connections with request, reply and close";
            text.push_str(&times(what, &record.latency, record.seconds, style));
        }
    }
    text
}

/// One test as the server saw it.
pub(super) fn served(served: &Served) -> String {
    let total = |sender| {
        let results = served.own.streams.iter();
        let results = results.filter(move |result| result.sender == sender);
        results.map(|result| result.bytes).sum::<u64>()
    };
    match served.plan.mode {
        Mode::Connect => format!("{} exchanges", served.exchanges),
        Mode::RoundTrip => {
            let bytes = total(false) / u64::from(served.plan.length);
            format!("{bytes} round trips of {} bytes", served.plan.length)
        }
        _ => format!("{} bytes received, {} sent", total(false), total(true)),
    }
}

fn total(way: &str, who: &str, sum: &Sum, style: Style) -> String {
    let rate = style.paint(BOLD, &rate(sum.bits_per_second));
    let mut text = format!(
        "{way}  {who:<8}  {} bytes in {:.2} s, {rate}",
        sum.bytes, sum.seconds
    );
    if let Some(retransmits) = sum.retransmits {
        let _ = write!(text, ", {retransmits} segments sent again");
    }
    text.push('\n');
    text
}

fn times(what: &str, latency: &Latency, seconds: f64, style: Style) -> String {
    let count = latency.count();
    let each = per_second(count as f64, seconds);
    let each = style.paint(BOLD, &format!("{each:.0} per second"));
    let mut text = format!("{count} {what} in {seconds:.2} s, {each}\n");
    for (name, time) in [
        ("p50", latency.percentile(50.0)),
        ("p90", latency.percentile(90.0)),
        ("p99", latency.percentile(99.0)),
        ("max", latency.max()),
    ] {
        let _ = writeln!(text, "{name:>8} {:>10}", microseconds(time));
    }
    text.push('\n');
    let buckets = latency.buckets();
    let most = buckets.iter().map(|&(_, count)| count).max().unwrap_or(1);
    for (bound, count) in buckets {
        // At most BAR_WIDTH, and at least a trace of what is there.
        let length = (count * BAR_WIDTH).div_ceil(most.max(1));
        let bar: String = (0..length).map(|_| '█').collect();
        let bound = microseconds(bound);
        let _ = writeln!(text, "{:>20} {count:>9} {bar}", format!("up to {bound}"));
    }
    text
}

fn line(name: &str, start: f64, end: f64, bytes: u64) -> String {
    format!(
        "{name:<6} {:>15}  {:>11}  {:>13}",
        format!("{start:.2} - {end:.2}"),
        HumanBytes(bytes).to_string(),
        rate(per_second(bytes as f64 * 8.0, end - start))
    )
}

/// Bits per second for people.
pub(super) fn rate(bits_per_second: f64) -> String {
    let (scaled, unit) = match bits_per_second {
        rate if rate >= 1e9 => (rate / 1e9, "Gbit/s"),
        rate if rate >= 1e6 => (rate / 1e6, "Mbit/s"),
        rate => (rate / 1e3, "kbit/s"),
    };
    let decimals = if scaled >= 100.0 { 0 } else { 2 };
    format!("{scaled:.decimals$} {unit}")
}

fn microseconds(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

const BAR_WIDTH: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits() {
        for (rate_in, text) in [
            (24.123e9, "24.12 Gbit/s"),
            (999.6e6, "1000 Mbit/s"),
            (1.5e6, "1.50 Mbit/s"),
            (0.0, "0.00 kbit/s"),
        ] {
            assert_eq!(rate(rate_in), text);
        }
    }

    #[test]
    fn a_line_per_connection_and_one_for_all() {
        let moved = |stream, sender| Moved {
            stream,
            sender,
            bytes: 1 << 20,
            info: None,
        };
        let text = interval(&Interval {
            start: 1.0,
            end: 2.0,
            streams: vec![moved(0, true), moved(1, false)],
        });
        let expected = concat!(
            "0 →        1.00 - 2.00     1.00 MiB    8.39 Mbit/s\n",
            "1 ←        1.00 - 2.00     1.00 MiB    8.39 Mbit/s\n",
            "sum        1.00 - 2.00     2.00 MiB   16.78 Mbit/s\n",
        );
        assert_eq!(text, expected);
    }
}
