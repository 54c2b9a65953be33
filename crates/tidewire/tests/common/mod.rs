//! Two stacks joined by memory, and every test on both kinds of runtime.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tidewire::net::{TcpListener, TcpStream};
use tidewire::{MemoryLink, Stack, StackBuilder};

/// Longer than any test takes: a lost wake-up is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `test` on a runtime of one thread.
pub(crate) fn on_current_thread<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(patiently(test));
}

/// Runs `test` on a runtime of several.
pub(crate) fn on_multi_thread<F: Future<Output = ()> + Send + 'static>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    runtime.block_on(async { runtime.spawn(patiently(test)).await.unwrap() });
}

async fn patiently<F: Future<Output = ()>>(test: F) {
    tokio::time::timeout(PATIENCE, test)
        .await
        .expect("the test hangs");
}

/// Makes each of the async functions a test on either kind of runtime.
#[macro_export]
macro_rules! on_both_runtimes {
    ($($test:ident),+ $(,)?) => {
        mod current_thread {
            $(#[test] fn $test() { $crate::common::on_current_thread(super::$test()); })+
        }
        mod multi_thread {
            $(#[test] fn $test() { $crate::common::on_multi_thread(super::$test()); })+
        }
    };
}

pub(crate) const SERVER: &str = "10.0.0.1";

/// A server at 10.0.0.1 and a client at 10.0.0.2.
pub(crate) async fn pair() -> (Stack, Stack) {
    pair_with(|builder| builder, |builder| builder).await
}

/// [`pair`] with other settings.
pub(crate) async fn pair_with(
    server: impl FnOnce(StackBuilder) -> StackBuilder,
    client: impl FnOnce(StackBuilder) -> StackBuilder,
) -> (Stack, Stack) {
    let (left, right) = MemoryLink::pair();
    let server = server(Stack::in_memory(left).address("10.0.0.1/24"));
    let client = client(Stack::in_memory(right).address("10.0.0.2/24"));
    (server.start().await.unwrap(), client.start().await.unwrap())
}

/// A listener at a port of its own choice.
pub(crate) async fn listen(server: &Stack) -> TcpListener {
    server.bind((SERVER, 0)).await.unwrap()
}

/// Both ends of a new connection: the server's and the client's.
pub(crate) async fn connected(server: &Stack, client: &Stack) -> (TcpStream, TcpStream) {
    let listener = listen(server).await;
    connect_to(&listener, client).await
}

/// Both ends of a new connection to `listener`.
pub(crate) async fn connect_to(listener: &TcpListener, client: &Stack) -> (TcpStream, TcpStream) {
    let connect = client.connect(listener.local_addr().unwrap());
    let (accepted, connected) = tokio::join!(listener.accept(), connect);
    (accepted.unwrap().0, connected.unwrap())
}

/// Polls once, and will not be told when to poll again.
pub(crate) fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    future
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_pending()
}

/// The byte at `offset` of a stream that is the same in every test, of no short period.
pub(crate) fn pattern(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9) >> 13) as u8
}

/// `len` bytes of the pattern from `offset` on.
pub(crate) fn pattern_bytes(offset: u64, len: usize) -> Vec<u8> {
    (offset..).take(len).map(pattern).collect()
}
