//! A maintenance window: the time until which drift is expected, and the reason.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::path::is_hazardous;

/// A time in which the operator expects drift. Drift is still reported, but alerts wait until the window is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WindowItem", into = "WindowItem")]
pub struct Window {
    until: Timestamp,
    /// The reason: one line without control characters.
    pub reason: String,
}

/// [`Window`] in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowItem {
    until: String,
    reason: String,
}

impl From<Window> for WindowItem {
    fn from(window: Window) -> Self {
        Self { until: window.until(), reason: window.reason }
    }
}

impl TryFrom<WindowItem> for Window {
    type Error = String;

    fn try_from(WindowItem { until, reason }: WindowItem) -> Result<Self, String> {
        let window = Self::new(&until, &reason).map_err(|error| format!("`window`: {error}"))?;
        if window.until() == until && window.reason == reason {
            Ok(window)
        } else {
            Err("`window`: driftlock would write it in another form".to_owned())
        }
    }
}

/// Why a window is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error("{:?} is not a time with an offset from UTC", .0)]
    NoTime(String),
    #[error("the reason is empty")]
    NoReason,
    #[error("the reason has a line break or another control character in it")]
    ControlCharacter,
    #[error("the reason is longer than {LONGEST_REASON} bytes")]
    LongReason,
}

/// The most bytes of a reason, so that it fits into messages.
const LONGEST_REASON: usize = 500;

impl Window {
    /// A window that ends at a time in RFC 3339: `2026-01-29T18:00:00+09:00` or `2026-01-29T09:00:00Z`.
    ///
    /// # Errors
    /// The time or the reason is not valid.
    pub fn new(until: &str, reason: &str) -> Result<Self, WindowError> {
        let reason = reason.trim();
        match reason.len() {
            0 => return Err(WindowError::NoReason),
            1..=LONGEST_REASON if reason.chars().any(is_hazardous) => return Err(WindowError::ControlCharacter),
            1..=LONGEST_REASON => {}
            _ => return Err(WindowError::LongReason),
        }
        let until: Timestamp = until.parse().map_err(|_| WindowError::NoTime(until.to_owned()))?;
        // Reports have whole seconds, so a fraction is rounded up.
        let until = Timestamp::from_second(until.as_second() + i64::from(until.subsec_nanosecond() > 0))
            .map_err(|_| WindowError::NoTime(until.to_string()))?;
        Ok(Self { until, reason: reason.to_owned() })
    }

    /// Its end in RFC 3339, in UTC.
    #[must_use]
    pub fn until(&self) -> String {
        self.until.to_string()
    }

    /// Its end in seconds since 1970.
    #[must_use]
    pub fn until_unix(&self) -> i64 {
        self.until.as_second()
    }

    /// Whether a time in RFC 3339 is before its end.
    #[must_use]
    pub fn is_open_at(&self, time: &str) -> bool {
        time.parse::<Timestamp>().is_ok_and(|time| time < self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_at_a_time_whatever_its_offset() {
        let window = Window::new("2026-01-29T18:00:00+09:00", " Odoo 18.0.7 ").unwrap();
        assert_eq!((window.until(), window.reason.as_str()), ("2026-01-29T09:00:00Z".to_owned(), "Odoo 18.0.7"));
        assert_eq!(window.until_unix(), 1_769_677_200);
        assert!(window.is_open_at("2026-01-29T17:59:59+09:00"));
        assert!(!window.is_open_at("2026-01-29T09:00:00Z") && !window.is_open_at("soon"));
        assert_eq!(Window::new("2026-01-29T09:00:00.1Z", "x").unwrap().until(), "2026-01-29T09:00:01Z");
        assert_eq!(Window::new(&window.until(), &window.reason).unwrap(), window);
    }

    #[test]
    fn is_refused_without_a_time_that_all_understand_alike_or_without_a_reason() {
        for time in ["", "tomorrow", "18:00", "2026-01-29T18:00:00", "2026-01-29", "1769677200"] {
            assert_eq!(Window::new(time, "x"), Err(WindowError::NoTime(time.to_owned())), "{time}");
        }
        assert_eq!(Window::new("2026-01-29T09:00:00Z", " \n"), Err(WindowError::NoReason));
        assert_eq!(Window::new("2026-01-29T09:00:00Z", "a\nb"), Err(WindowError::ControlCharacter));
        assert_eq!(Window::new("2026-01-29T09:00:00Z", &"x".repeat(501)), Err(WindowError::LongReason));
    }
}
