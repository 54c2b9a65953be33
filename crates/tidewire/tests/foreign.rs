//! Code of the application that the stack runs, such as what drops the memory lent to it: it may
//! use the same stack.

mod common;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use common::{connected, on_current_thread, on_multi_thread, pair};
use tidewire::Stack;
use tidewire::net::TcpStream;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Memory whose owner uses the stack when it is dropped.
struct Lent {
    data: Vec<u8>,
    stack: Stack,
    stream: Arc<TcpStream>,
    dropped: UnboundedSender<u64>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let sent = self.stream.info().bytes_sent;
        let _ = self.stream.try_write(b".");
        self.dropped
            .send(sent + self.stack.stats().frames_out)
            .expect("the test waits for it");
    }
}

/// Which lengths are written, and how the stream ends.
#[derive(Copy, Clone)]
struct Case {
    len: usize,
    pieces: usize,
    is_read: bool,
}

/// Lends memory to a stream and waits until its owners are dropped.
async fn lend(case: Case) {
    let (server, client) = pair().await;
    let (mut accepted, stream) = connected(&server, &client).await;
    let stream = Arc::new(stream);
    let (dropped, mut drops) = unbounded_channel();
    let lent = |_| {
        Bytes::from_owner(Lent {
            data: vec![7; case.len],
            stack: client.clone(),
            stream: Arc::clone(&stream),
            dropped: dropped.clone(),
        })
    };
    let pieces: Vec<Bytes> = (0..case.pieces).map(lent).collect();
    for piece in pieces {
        stream.write_bytes(piece).await.unwrap();
    }
    if case.is_read {
        let mut all = vec![0; case.len * case.pieces];
        accepted.read_exact(&mut all).await.unwrap();
        assert!(all.iter().all(|&byte| matches!(byte, 7 | b'.')));
    } else {
        // The peer goes, and with it the need for what it has not read.
        accepted.abort();
    }
    for _ in 0..case.pieces {
        drops.recv().await.unwrap();
    }
}

/// A lock that is taken twice hangs the thread, where no timer of the runtime helps.
fn within_a_minute(test: impl FnOnce() + Send + 'static) {
    let (done, end) = channel();
    thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    let ended = end.recv_timeout(Duration::from_secs(60));
    assert!(ended.is_ok(), "the test hangs or failed");
}

fn on_both(case: Case) {
    within_a_minute(move || on_current_thread(lend(case)));
    within_a_minute(move || on_multi_thread(lend(case)));
}

#[test]
fn memory_that_was_acknowledged() {
    on_both(Case {
        len: 20_000,
        pieces: 3,
        is_read: true,
    });
}

/// So little is copied at once.
#[test]
fn memory_that_was_copied() {
    on_both(Case {
        len: 100,
        pieces: 40,
        is_read: true,
    });
}

/// All of it at once, more than is dropped at a time.
#[test]
fn memory_of_a_connection_that_failed() {
    on_both(Case {
        len: 4096,
        pieces: 200,
        is_read: false,
    });
}
