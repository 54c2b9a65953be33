//! Server of a test: one client at a time.

use core::net::SocketAddr;
use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::exchange::answer;
use super::parts::{Meter, Results, meters, play, watch};
use super::plan::{End, Plan};
use super::protocol::{Control, Hello, Kind, Message, PATIENCE, unexpected};
use crate::traffic::{Stream, Transport};

/// Server of one test at a time.
pub(super) struct Server<T: Transport> {
    transport: T,
    listener: T::Listener,
}

/// A completed test.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) plan: Plan,
    pub(super) own: Results,
    /// Exchanges, where those were measured.
    pub(super) exchanges: u64,
}

impl<T: Transport> Server<T> {
    pub(super) async fn bind(transport: T, address: SocketAddr) -> io::Result<Self> {
        let listener = transport.bind(address).await?;
        Ok(Self {
            transport,
            listener,
        })
    }

    /// Waits for a peer and takes part in its test.
    ///
    /// # Errors
    /// Those of the listener. Errors of the peer are in the result.
    pub(super) async fn next(&mut self) -> io::Result<(SocketAddr, io::Result<Served>)> {
        loop {
            let stream = self.transport.accept(&mut self.listener).await?;
            // A connection that has ended already has no address.
            if let Ok((_, peer)) = stream.addresses() {
                return Ok((peer, self.attend(stream).await));
            }
        }
    }

    async fn attend(&mut self, mut stream: T::Stream) -> io::Result<Served> {
        let hello = Hello::receive(&mut stream).await?;
        if hello.kind != Kind::Control {
            return Err(io::Error::other("a connection of a test that is over"));
        }
        let (mut control, plan) = converse(stream, hello).await?;
        if let Err(reason) = plan.check() {
            control.send(&Message::Refused(reason.clone())).await?;
            return Err(io::Error::other(format!("refused: {reason}")));
        }
        control.send(&Message::Accepted).await?;
        let (arrivals, arrived) = mpsc::channel(1);
        let guest = Guest {
            test: hello.test,
            length: plan.length as usize,
            arrivals,
            exchanges: Arc::default(),
        };
        let exchanges = Arc::clone(&guest.exchanges);
        tokio::select! {
            outcome = take_part(plan, control, arrived, exchanges) => outcome,
            error = self.accept_guests(&guest) => Err(error),
        }
    }

    /// Accepts connections while a test goes on.
    async fn accept_guests(&mut self, guest: &Guest<T::Stream>) -> io::Error {
        let mut guests = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.transport.accept(&mut self.listener), if guests.len() < MAX_GUESTS => {
                    match accepted {
                        Ok(stream) => guests.spawn(guest.clone().enter(stream)),
                        Err(error) => return error,
                    };
                }
                // A guest's error does not end the test.
                Some(_) = guests.join_next() => {}
            }
        }
    }
}

/// Sends the hello and receives the plan.
async fn converse<S: Stream>(mut stream: S, hello: Hello) -> io::Result<(Control<S>, Plan)> {
    stream.write_all(&hello.encode()).await?;
    stream.flush().await?;
    let mut control = Control::new(stream);
    match control.receive_soon().await? {
        Message::Plan(plan) => Ok((control, plan)),
        other => Err(unexpected(&other)),
    }
}

/// What to do with a connection that comes during a test.
struct Guest<S> {
    test: u64,
    length: usize,
    arrivals: mpsc::Sender<(u32, S)>,
    exchanges: Arc<Meter>,
}

impl<S> Clone for Guest<S> {
    fn clone(&self) -> Self {
        Self {
            arrivals: self.arrivals.clone(),
            exchanges: Arc::clone(&self.exchanges),
            ..*self
        }
    }
}

impl<S: Stream> Guest<S> {
    async fn enter(self, mut stream: S) -> io::Result<()> {
        let hello = Hello::receive(&mut stream).await?;
        match hello.kind {
            Kind::Control => {
                let (mut control, _) = converse(stream, hello).await?;
                let busy = Message::Refused("another test is going on".into());
                control.send(&busy).await?;
                // It is the client that ends the connection.
                control.receive_soon().await.map(drop)
            }
            Kind::Data if hello.test == self.test => {
                // Fails after the end of the test; the connection is then dropped.
                drop(self.arrivals.send((hello.stream, stream)).await);
                Ok(())
            }
            Kind::Exchange if hello.test == self.test => {
                // Counted first: when the client has the reply, the count is complete.
                self.exchanges.count(1);
                answer(stream, self.length).await
            }
            Kind::Data | Kind::Exchange => Ok(()),
        }
    }
}

async fn take_part<S: Stream>(
    plan: Plan,
    mut control: Control<S>,
    arrived: mpsc::Receiver<(u32, S)>,
    exchanges: Arc<Meter>,
) -> io::Result<Served> {
    let streams = gather(&plan, arrived).await?;
    control.send(&Message::Ready).await?;
    let meters = meters(plan.connections());
    let work = play(&plan, End::Server, streams, &meters);
    let watched = [meters.clone(), vec![Arc::clone(&exchanges)]].concat();
    let their_results = async {
        match control.receive().await? {
            // They only tell that the client has finished.
            Message::Results(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    };
    let ((own, _), ()) = tokio::select! {
        both = async { tokio::try_join!(work, their_results) } => both?,
        error = watch(&watched) => return Err(error),
    };
    control.send(&Message::Results(own.clone())).await?;
    Ok(Served {
        plan,
        own,
        exchanges: exchanges.bytes(),
    })
}

/// Waits for the data connections and puts them in order.
async fn gather<S>(plan: &Plan, mut arrived: mpsc::Receiver<(u32, S)>) -> io::Result<Vec<S>> {
    let mut streams = Vec::new();
    let all = async {
        while streams.len() < plan.connections() as usize {
            match arrived.recv().await {
                Some(stream) => streams.push(stream),
                None => break,
            }
        }
    };
    let is_complete = timeout(PATIENCE, all).await.is_ok();
    streams.sort_by_key(|&(index, _)| index);
    let in_order = (0..)
        .zip(&streams)
        .all(|(wanted, (index, _))| wanted == *index);
    if !(is_complete && in_order) {
        return Err(io::Error::other("not all connections have come"));
    }
    Ok(streams.into_iter().map(|(_, stream)| stream).collect())
}

/// More than there are streams.
const MAX_GUESTS: usize = 512;
