//! Whom a stream wakes, and when, between two stacks joined by memory.

mod common;

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use common::{connected, pair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest};

on_both_runtimes!(
    readiness_follows_the_buffers,
    many_tasks_wait_for_the_same_stream,
    writable_wakes_after_a_write_that_filled_the_buffer,
    nobody_starves_beside_one_who_asks_whether_it_is_ready,
);

async fn readiness_follows_the_buffers() {
    let (server, client) = pair().await;
    let (accepted, mut stream) = connected(&server, &client).await;
    let both = Interest::READABLE | Interest::WRITABLE;
    let ready = stream.ready(both).await.unwrap();
    assert!(ready.is_writable() && !ready.is_readable());
    assert_eq!(
        stream.try_read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );

    // Nobody reads: the buffers fill up.
    let block = vec![7; 1 << 20];
    let mut written = 0_u64;
    loop {
        match stream.try_write(&block) {
            Ok(n) => written += n as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if accepted.info().recv_queue as u64 + stream.info().send_queue as u64 >= written
                    && stream.info().snd_wnd == 0
                {
                    break;
                }
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let drain = tokio::spawn(async move {
        let mut received = 0_u64;
        let mut buf = vec![0; 1 << 16];
        while received <= written {
            accepted.readable().await.unwrap();
            match accepted.try_read(&mut buf) {
                Ok(n) => received += n as u64,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        accepted
    });
    stream.writable().await.unwrap();
    stream.write_all(b"!").await.unwrap();
    let accepted = drain.await.unwrap();

    drop(stream);
    let ready = accepted.ready(Interest::READABLE).await.unwrap();
    assert!(ready.is_readable());
}

async fn many_tasks_wait_for_the_same_stream() {
    let (server, client) = pair().await;
    let (accepted, mut stream) = connected(&server, &client).await;
    let accepted = Arc::new(accepted);
    let waiters: Vec<_> = (0..8)
        .map(|n| {
            let accepted = Arc::clone(&accepted);
            tokio::spawn(async move {
                if n % 2 == 0 {
                    accepted.readable().await
                } else {
                    accepted.peek(&mut [0]).await.map(|_| ())
                }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    stream.write_all(b"x").await.unwrap();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(accepted.try_read(&mut [0; 2]).unwrap(), 1);
}

/// Polled by hand: two slots, one waker each, so that a reader and a writer do not displace one
/// another.
#[test]
fn reading_and_writing_tasks_have_a_waker_each() {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    common::on_current_thread(async {
        let (server, client) = pair().await;
        let (mut accepted, mut stream) = connected(&server, &client).await;
        let (reader, ready) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (read_waker, ready_waker) = (
            Waker::from(Arc::clone(&reader)),
            Waker::from(Arc::clone(&ready)),
        );
        let mut space = [0; 4];
        let mut buf = tokio::io::ReadBuf::new(&mut space);
        let mut cx = Context::from_waker(&read_waker);
        assert!(pin!(&mut stream).poll_read(&mut cx, &mut buf).is_pending());
        let mut cx = Context::from_waker(&ready_waker);
        assert!(stream.poll_read_ready(&mut cx).is_pending());
        assert!(matches!(
            stream.poll_write_ready(&mut cx),
            Poll::Ready(Ok(()))
        ));

        accepted.write_all(b"wake").await.unwrap();
        stream.readable().await.unwrap();
        assert_eq!(
            (
                reader.0.load(Ordering::SeqCst),
                ready.0.load(Ordering::SeqCst)
            ),
            (1, 1)
        );
    });
}

/// The loop of `writable` and `try_write`, against a reader that starts when the buffer is full.
async fn writable_wakes_after_a_write_that_filled_the_buffer() {
    let (server, client) = pair().await;
    let (mut accepted, stream) = connected(&server, &client).await;
    let total = 8 << 20;
    let chunk = vec![7; 100_000];
    let writer = tokio::spawn(async move {
        let mut left: usize = total;
        while left > 0 {
            stream.writable().await.unwrap();
            match stream.try_write(&chunk[..left.min(chunk.len())]) {
                Ok(n) => left -= n,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    });
    let mut received = Vec::new();
    accepted.read_to_end(&mut received).await.unwrap();
    assert_eq!(received.len(), total);
    writer.await.unwrap();
}

/// tokio's own `readable` does not spend the task's budget; ours does.
async fn nobody_starves_beside_one_who_asks_whether_it_is_ready() {
    let (server, client) = pair().await;
    let (accepted, mut stream) = connected(&server, &client).await;
    stream.write_all(b"x").await.unwrap();
    let turns = AtomicUsize::new(0);
    let bystander = std::future::poll_fn(|_| {
        turns.fetch_add(1, Ordering::Relaxed);
        Poll::<()>::Pending
    });
    let busy = async {
        for _ in 0..1_000 {
            accepted.readable().await.unwrap();
            stream.writable().await.unwrap();
        }
    };
    tokio::select! {
        () = busy => {}
        () = bystander => {}
    }
    assert!(turns.into_inner() > 10, "nobody else had a turn");
}
