//! What the types promise, checked by the compiler.

use tidewire::net::{TcpListener, TcpSocket, TcpStream};
use tidewire::{Stack, StackError};

/// A type that two tasks may share, that may move, and that outlives everything.
#[test]
fn the_types_are_what_tokios_are() {
    fn check<T: Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    check::<TcpStream>();
    check::<TcpListener>();
    check::<TcpSocket>();
    check::<tidewire::net::tcp::OwnedReadHalf>();
    check::<tidewire::net::tcp::OwnedWriteHalf>();
    check::<tidewire::net::tcp::ReadHalf<'static>>();
    check::<tidewire::net::tcp::WriteHalf<'static>>();
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
