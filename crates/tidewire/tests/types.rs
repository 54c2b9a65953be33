//! What the types promise, checked by the compiler.

use std::panic::{RefUnwindSafe, UnwindSafe};

use tidewire::net::tcp::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use tidewire::net::{TcpListener, TcpSocket, TcpStream};
use tidewire::{Stack, StackError};

/// A type that two tasks may share, that may move, and that outlives everything.
#[test]
fn the_types_are_what_tokios_are() {
    fn check<T: Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    check::<TcpStream>();
    check::<TcpListener>();
    check::<TcpSocket>();
    check::<OwnedReadHalf>();
    check::<OwnedWriteHalf>();
    check::<ReadHalf<'static>>();
    check::<WriteHalf<'static>>();
    check::<Stack>();
    check::<StackError>();
    fn is_send<T: Send>(_: &T) {}
    fn futures(stack: &Stack, stream: &TcpStream, listener: &TcpListener) {
        is_send(&TcpStream::connect("10.0.0.1:80"));
        is_send(&TcpListener::bind("10.0.0.1:80"));
        is_send(&Stack::on("eth0").start());
        is_send(&stack.shutdown(std::time::Duration::ZERO));
        is_send(&stack.connect("10.0.0.1:80"));
        is_send(&stream.readable());
        is_send(&stream.read_chunk());
        is_send(&listener.accept());
    }
    let _: fn(&Stack, &TcpStream, &TcpListener) = futures;
}

/// tokio's own types pass the same checks, so that they ask for nothing that tokio does not have.
#[test]
fn the_types_may_be_kept_across_a_panic_as_tokios_may() {
    fn check<T: UnwindSafe + RefUnwindSafe>() {}
    check::<TcpStream>();
    check::<TcpListener>();
    check::<TcpSocket>();
    check::<OwnedReadHalf>();
    check::<OwnedWriteHalf>();
    check::<ReadHalf<'static>>();
    check::<WriteHalf<'static>>();
    check::<tokio::net::TcpStream>();
    check::<tokio::net::TcpListener>();
    check::<tokio::net::TcpSocket>();
    check::<tokio::net::tcp::OwnedReadHalf>();
    check::<tokio::net::tcp::OwnedWriteHalf>();
    check::<tokio::net::tcp::ReadHalf<'static>>();
    check::<tokio::net::tcp::WriteHalf<'static>>();
}

#[test]
fn a_stream_is_within_reach_of_its_halves_as_tokios_is() {
    fn check<T: AsRef<S>, S>() {}
    check::<TcpStream, TcpStream>();
    check::<OwnedReadHalf, TcpStream>();
    check::<OwnedWriteHalf, TcpStream>();
    check::<ReadHalf<'static>, TcpStream>();
    check::<WriteHalf<'static>, TcpStream>();
    check::<tokio::net::TcpStream, tokio::net::TcpStream>();
    check::<tokio::net::tcp::OwnedReadHalf, tokio::net::TcpStream>();
    check::<tokio::net::tcp::OwnedWriteHalf, tokio::net::TcpStream>();
    check::<tokio::net::tcp::ReadHalf<'static>, tokio::net::TcpStream>();
    check::<tokio::net::tcp::WriteHalf<'static>, tokio::net::TcpStream>();
}
