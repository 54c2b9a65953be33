//! SIGINT and SIGTERM as an event.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::{process, thread};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// The exit code after SIGINT, as shells report it.
const INTERRUPTED: i32 = 130;

/// Ctrl-C as an event: the first asks the work to end, the second ends the process at once.
#[derive(Debug, Clone)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    count: AtomicUsize,
    raised: Notify,
}

impl Interrupt {
    /// Takes over SIGINT and SIGTERM for the rest of the process. Starts a thread: call it after
    /// [`lab::enter`](crate::lab::enter).
    ///
    /// # Errors
    /// When the handler cannot be installed.
    pub fn install() -> io::Result<Self> {
        static INSTALLED: OnceLock<Interrupt> = OnceLock::new();
        if let Some(interrupt) = INSTALLED.get() {
            return Ok(interrupt.clone());
        }
        let interrupt = Self {
            shared: Arc::default(),
        };
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let (mut interrupts, mut terminations) = runtime.block_on(async {
            io::Result::Ok((
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ))
        })?;
        let shared = Arc::clone(&interrupt.shared);
        thread::Builder::new()
            .name("interrupt".into())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        tokio::select! {
                            _ = interrupts.recv() => {}
                            _ = terminations.recv() => {}
                        }
                        if shared.count.fetch_add(1, Ordering::Relaxed) > 0 {
                            process::exit(INTERRUPTED);
                        }
                        shared.raised.notify_waiters();
                    }
                });
            })?;
        Ok(INSTALLED.get_or_init(|| interrupt).clone())
    }

    /// True once a signal has come.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.shared.count.load(Ordering::Relaxed) > 0
    }

    /// Waits for a signal; returns at once if one has come already.
    pub async fn raised(&self) {
        // Registered before the check, so that a signal in between is not missed.
        let notified = self.shared.raised.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if !self.is_raised() {
            notified.await;
        }
    }
}
