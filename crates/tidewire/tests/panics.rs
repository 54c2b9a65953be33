//! A panic in the stack, for which an application's own congestion controller is good: everything
//! fails from then on, says why, and nothing panics again.

mod common;

use std::fmt::Debug;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use common::{connect_to, listen, on_current_thread, on_multi_thread, pair};
use tidewire::net::{TcpListener, TcpStream};
use tidewire::time::Instant;
use tidewire::{AckSample, Algorithm, CongestionControl, CongestionEvent, Stack, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// When to panic. Every test has its own.
#[derive(Debug)]
struct Switch {
    on_ack: AtomicBool,
    on_sent: AtomicBool,
}

impl Switch {
    const fn new() -> Self {
        Self {
            on_ack: AtomicBool::new(false),
            on_sent: AtomicBool::new(false),
        }
    }
}

#[derive(Debug)]
struct Fragile(&'static Switch);

impl CongestionControl for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }
    fn on_ack(&mut self, _: &AckSample) {
        assert!(!self.0.on_ack.load(Ordering::SeqCst), "on_ack");
    }
    fn on_congestion(&mut self, _: &CongestionEvent) {}
    fn on_rto(&mut self, _: &CongestionEvent) {}
    fn on_sent(&mut self, _: Instant, _: u64, _: u64) {
        assert!(!self.0.on_sent.load(Ordering::SeqCst), "on_sent");
    }
    fn set_mss(&mut self, _: u32) {}
    fn cwnd(&self) -> u64 {
        100_000
    }
    fn ssthresh(&self) -> u64 {
        100_000
    }
}

/// One of everything, with another connection that can wait.
struct World {
    client: Stack,
    fragile: TcpStream,
    other: TcpStream,
    listener: TcpListener,
    peers: (TcpStream, TcpStream, TcpListener, Stack),
}

async fn world(algorithm: Algorithm) -> World {
    let (server, client) = pair().await;
    let at_server = listen(&server).await;
    let (peer, fragile) = connect_to(&at_server, &client).await;
    let (other_peer, other) = connect_to(&at_server, &client).await;
    fragile.set_congestion(algorithm).unwrap();
    let listener = client.bind("10.0.0.2:0").await.unwrap();
    World {
        client,
        fragile,
        other,
        listener,
        peers: (peer, other_peer, at_server, server),
    }
}

fn failed<T: Debug>(result: io::Result<T>) {
    let text = "the tidewire stack has stopped after a panic";
    assert_eq!(result.unwrap_err().to_string(), text);
}

/// Everything fails as it should; what peers have is untouched.
async fn everything_fails(mut world: World) {
    let World {
        client,
        fragile,
        other,
        listener,
        peers,
    } = &mut world;
    for stream in [fragile, other] {
        failed(stream.read(&mut [0]).await);
        failed(stream.write(b"x").await);
        failed(stream.try_read(&mut [0]));
        failed(stream.peek(&mut [0]).await);
        failed(stream.writable().await);
        failed(stream.write_bytes(vec![7; 10_000].into()).await);
        failed(stream.set_nodelay(true));
        failed(stream.ttl());
        assert_eq!(stream.state(), State::Closed);
        let _ = (stream.info(), stream.shutdown().await);
    }
    failed(listener.accept().await);
    failed(listener.ttl());
    failed(client.connect(peers.2.local_addr().unwrap()).await);
    failed(client.bind("10.0.0.2:0").await);
    failed(client.shutdown(Duration::from_secs(1)).await);
    let _ = (client.stats(), client.link_stats(), client.take_trace());
    assert!(!client.is_running() && peers.3.is_running());
    world.fragile.abort();
    drop((world.other, world.listener, world.client));
    drop(world.peers.0);
    world.peers.1.write_all(b"to nobody").await.unwrap();
}

/// Spawns `future` and returns once it waits.
async fn waiting<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (polled, is_polled) = oneshot::channel();
    let task = tokio::spawn(async move {
        let (mut future, mut polled) = (pin!(future), Some(polled));
        poll_fn(move |cx| {
            let poll = future.as_mut().poll(cx);
            polled.take().map(|polled| polled.send(()));
            poll
        })
        .await
    });
    is_polled.await.unwrap();
    task
}

/// The driver's task panics, while others wait.
async fn in_the_driver(switch: &'static Switch, algorithm: Algorithm) {
    let mut world = world(algorithm).await;
    let mut other = world.other;
    let reading = waiting(async move {
        failed(other.read(&mut [0]).await);
        other
    });
    let reading = reading.await;
    let listener = world.listener;
    let accepting = waiting(async move {
        failed(listener.accept().await);
        listener
    });
    let accepting = accepting.await;
    switch.on_ack.store(true, Ordering::SeqCst);
    world
        .fragile
        .write_all(b"to be acknowledged")
        .await
        .unwrap();
    world.other = reading.await.unwrap();
    world.listener = accepting.await.unwrap();
    everything_fails(world).await;
}

/// The task that writes panics, while another one reads.
async fn in_a_call(switch: &'static Switch, algorithm: Algorithm) {
    let mut world = world(algorithm).await;
    let (mut reader, mut writer) = world.fragile.into_split();
    let reading = waiting(async move {
        failed(reader.read(&mut [0]).await);
        reader
    });
    let reading = reading.await;
    switch.on_sent.store(true, Ordering::SeqCst);
    // So much is sent by the call itself; a byte might be left for the driver.
    let writing = tokio::spawn(async move { writer.write_all(&vec![7; 128 << 10]).await });
    assert!(writing.await.unwrap_err().is_panic());
    drop(reading.await.unwrap());
    failed(world.other.read(&mut [0]).await);
    failed(world.listener.accept().await);
    failed(world.client.bind("10.0.0.2:0").await);
}

/// A call that hands out a listener panics when that is made already: what it would drop must not
/// wait for the lock that the panic holds.
async fn in_a_call_that_makes_a_handle(switch: &'static Switch, algorithm: Algorithm) {
    let world = world(algorithm).await;
    // In a burst, for which the clock stands still, the second is left to whoever sends next.
    world.fragile.set_nodelay(true).unwrap();
    tokio::time::pause();
    for _ in 0..2 {
        assert_eq!(world.fragile.try_write(b"x").unwrap(), 1);
    }
    switch.on_sent.store(true, Ordering::SeqCst);
    // At once, before the driver gets to it.
    let binding = catch_unwind(AssertUnwindSafe(|| {
        let mut bind = pin!(world.client.bind("10.0.0.2:0"));
        let mut cx = Context::from_waker(Waker::noop());
        bind.as_mut().poll(&mut cx).is_ready()
    }));
    assert!(binding.is_err(), "it panics");
    failed(world.listener.accept().await);
    failed(world.client.bind("10.0.0.2:0").await);
}

macro_rules! with_a_switch {
    ($($name:ident: $run:ident($test:ident);)+) => {
        $(#[test]
        fn $name() {
            static SWITCH: Switch = Switch::new();
            $run($test(&SWITCH, Algorithm::Custom(|_| Box::new(Fragile(&SWITCH)))));
        })+
    };
}

with_a_switch! {
    in_the_driver_on_the_current_thread: on_current_thread(in_the_driver);
    in_the_driver_on_several_threads: on_multi_thread(in_the_driver);
    in_a_call_on_the_current_thread: on_current_thread(in_a_call);
    in_a_call_on_several_threads: on_multi_thread(in_a_call);
    in_a_call_with_a_handle: on_current_thread(in_a_call_that_makes_a_handle);
}
