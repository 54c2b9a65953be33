//! Host of a lab: a network namespace, its threads and its tokio runtimes.

use core::fmt;
use core::future::Future;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, mpsc};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, gettid};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use super::command;
use super::error::LabError;

type Job = Box<dyn FnOnce() + Send>;

/// One host of a lab: a network namespace that lives as long as a thread in it.
///
/// The namespace has no name and needs no clean-up: it ends with the last handle and the last of
/// its threads, and at the latest with the process, however that ends. Clones refer to the same
/// host.
#[derive(Clone)]
pub struct HostHandle {
    host: Arc<Host>,
}

struct Host {
    name: String,
    tid: Pid,
    jobs: Option<mpsc::Sender<Job>>,
    dispatcher: Option<thread::JoinHandle<()>>,
}

impl HostHandle {
    /// Makes a host in a new, empty network namespace whose loopback interface is up.
    ///
    /// # Errors
    /// [`LabError::Environment`] without the right to make namespaces (see
    /// [`enter`](super::enter)).
    pub fn start(name: &str) -> Result<Self, LabError> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (ready, started) = mpsc::channel();
        let dispatcher = thread::Builder::new()
            .name(format!("host-{name}"))
            .spawn(move || {
                let entered = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid());
                let failed = entered.is_err();
                if ready.send(entered).is_err() || failed {
                    return;
                }
                for job in inbox {
                    job();
                }
            })
            .map_err(|error| LabError::failed("cannot start a thread", error))?;
        let tid = started
            .recv()
            .map_err(|_| LabError::Failed("the host's thread ended at once".into()))?
            .map_err(|errno| {
                LabError::Environment(format!("cannot make a network namespace: {errno}"))
            })?;
        let host = Host {
            name: name.to_owned(),
            tid,
            jobs: Some(jobs),
            dispatcher: Some(dispatcher),
        };
        let handle = Self {
            host: Arc::new(host),
        };
        handle.ip(&["link", "set", "lo", "up"])?;
        Ok(handle)
    }

    /// The name given to [`start`](Self::start).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.host.name
    }

    /// The id of the thread that holds the namespace, as `ip link set DEV netns ID` takes it.
    #[must_use]
    pub fn tid(&self) -> Pid {
        self.host.tid
    }

    /// Runs `work` on a new thread in this host's namespace.
    ///
    /// # Panics
    /// Like [`std::thread::spawn`], if the operating system cannot start a thread.
    pub fn spawn<F, T>(&self, work: F) -> Task<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (done, result) = mpsc::sync_channel(1);
        let name = self.host.name.clone();
        // A thread inherits the namespace of the thread that starts it, so the dispatcher is the
        // one to start it.
        let job = move || {
            let started = thread::Builder::new().name(name).spawn(move || {
                let outcome = panic::catch_unwind(AssertUnwindSafe(work));
                // A caller that no longer waits does not want the result.
                drop(done.send(outcome));
            });
            // A thread that could not start drops `done`, which `join` reports.
            drop(started);
        };
        if let Some(jobs) = &self.host.jobs {
            // The dispatcher ends only after `jobs` is dropped, which needs the last handle.
            drop(jobs.send(Box::new(job)));
        }
        Task { result }
    }

    /// Runs `work` on a thread in this host's namespace and waits for its result.
    ///
    /// # Panics
    /// If `work` panics, with the same payload; and as [`spawn`](Self::spawn).
    pub fn run<F, T>(&self, work: F) -> T
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn(work).join()
    }

    /// Runs `ip` in this host's namespace.
    ///
    /// # Errors
    /// As [`command::ip`](super::ip).
    pub fn ip(&self, arguments: &[&str]) -> Result<String, LabError> {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect();
        self.run(move || command::ip(&arguments))
    }

    /// Starts a single-threaded tokio runtime in this host's namespace.
    ///
    /// # Errors
    /// Those of building a runtime.
    pub fn runtime(&self) -> io::Result<HostRuntime> {
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let driver = self.spawn(
            move || match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    drop(ready.send(Ok(runtime.handle().clone())));
                    // Stops at a message, and when the sender is dropped.
                    drop(runtime.block_on(stopped));
                    runtime.shutdown_background();
                }
                Err(error) => drop(ready.send(Err(error))),
            },
        );
        let handle = started.recv().map_err(io::Error::other)??;
        Ok(HostRuntime {
            handle,
            stop: Some(stop),
            driver: Some(driver),
        })
    }

    /// Builds a multi-threaded tokio runtime whose workers are in this host's namespace.
    ///
    /// Threads of `spawn_blocking` belong to the namespace of the thread that asked for them: ask
    /// from inside the runtime.
    ///
    /// # Errors
    /// Those of building a runtime.
    pub fn multi_thread_runtime(&self, workers: usize) -> io::Result<Runtime> {
        self.run(move || {
            Builder::new_multi_thread()
                .worker_threads(workers.max(1))
                .enable_all()
                .build()
        })
    }
}

impl fmt::Debug for HostHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostHandle")
            .field("name", &self.host.name)
            .field("tid", &self.host.tid)
            .finish()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(dispatcher) = self.dispatcher.take() {
            // The dispatcher runs no code that can panic.
            drop(dispatcher.join());
        }
    }
}

/// Work that runs on a thread of a host.
#[derive(Debug)]
pub struct Task<T> {
    result: mpsc::Receiver<thread::Result<T>>,
}

impl<T> Task<T> {
    /// Waits for the result.
    ///
    /// # Panics
    /// If the work panicked, with the same payload; and if its thread could not be started.
    #[must_use]
    pub fn join(self) -> T {
        match self.result.recv() {
            Ok(Ok(value)) => value,
            Ok(Err(payload)) => panic::resume_unwind(payload),
            Err(_) => panic!("the operating system could not start a thread"),
        }
    }
}

/// A single-threaded tokio runtime inside a host, driven by a thread of its own until it is
/// dropped.
#[derive(Debug)]
pub struct HostRuntime {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    driver: Option<Task<()>>,
}

impl HostRuntime {
    /// The handle by which any thread may spawn onto this runtime.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a future on the runtime and blocks the calling thread, which must not itself be driving
    /// a runtime, until it ends.
    ///
    /// # Errors
    /// When the future panics or the runtime is gone.
    pub fn block_on<F>(&self, future: F) -> io::Result<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (done, result) = mpsc::sync_channel(1);
        self.handle
            .spawn(async move { drop(done.send(future.await)) });
        result
            .recv()
            .map_err(|_| io::Error::other("the task did not finish"))
    }
}

impl Drop for HostRuntime {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(driver) = self.driver.take() {
            // Not `join`: a panic must not become a second one while unwinding.
            drop(driver.result.recv());
        }
    }
}
