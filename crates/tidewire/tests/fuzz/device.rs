//! Hostile frames for a stack under tokio, on a link in memory: what `main.rs` runs with seeds, and
//! a fuzzer's target can.
//!
//! As for the core alone (`tidewire_sim::fuzz`), an input is a list of steps. Two links in memory
//! and this code between them make one cable, to which the attacker has access; the stack under
//! attack echoes whatever comes, in tasks of its own, in tokio's paused time.

use std::net::SocketAddr;
use std::time::Duration;

use tidewire::net::{TcpListener, TcpStream};
use tidewire::{BufferSize, MemoryLink, Stack, StackBuilder, Stats, TcpConfig};
use tidewire_sim::fuzz::{Attacker, HONEST_MAC, INNOCENT, Input, TARGET_MAC, VICTIM};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::task::{JoinHandle, yield_now};

/// Runs `input` against a stack and says how many hostile frames it was fed, and what it counted.
///
/// # Panics
/// Where the stack panics or stops, answers without end, or no longer serves a connection that had
/// no part in it.
pub(crate) fn frames_into_device(input: &[u8]) -> (u64, Stats) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut arena = Arena::new().await;
        let mut input = Input::new(input);
        let mut frames = 0;
        while !input.is_empty() {
            frames += u64::from(arena.step(&mut input).await);
        }
        arena.check_liveness().await;
        (frames, arena.target.stats())
    })
}

const ADDRESSES: [[&str; 2]; 2] = [["10.0.0.1", "fd00::1"], ["10.0.0.2", "fd00::2"]];
const BUFFER: usize = 32_768;
/// Connections of the honest stack that the attacker may work on.
const MOST_VICTIMS: usize = 8;
/// Turns of the tasks without a frame after which there is nothing more to come.
const SILENCE: u32 = 3;
/// Turns with frames after which the stacks answer each other without end.
const MOST_TURNS: u32 = 10_000;

/// A stack under attack, an honest one, and the cable between them.
struct Arena {
    target: Stack,
    honest: Stack,
    /// The cable's ends at either stack.
    at_target: MemoryLink,
    at_honest: MemoryLink,
    attacker: Attacker,
    innocents: Vec<TcpStream>,
    victims: Vec<TcpStream>,
}

impl Arena {
    async fn new() -> Self {
        let (target_link, at_target) = MemoryLink::pair();
        let (honest_link, at_honest) = MemoryLink::pair();
        let target = builder(target_link, 0).mac(TARGET_MAC.to_string());
        let honest = builder(honest_link, 1).mac(HONEST_MAC.to_string());
        let mut arena = Self {
            target: target.start().await.expect("a legal configuration"),
            honest: honest.start().await.expect("a legal configuration"),
            at_target,
            at_honest,
            attacker: Attacker::default(),
            innocents: Vec::new(),
            victims: Vec::new(),
        };
        for port in [INNOCENT, VICTIM] {
            let listener = arena.target.bind(("::", port)).await;
            tokio::spawn(serve(listener.expect("the port is free")));
        }
        for version in [0, 1] {
            let innocent = arena.open(version, INNOCENT).await;
            arena.innocents.push(innocent.expect("nothing is lost"));
            let victim = arena.open(version, VICTIM).await;
            arena.victims.push(victim.expect("nothing is lost"));
        }
        arena
    }

    /// A connection from the honest stack, if there is one at once.
    async fn open(&mut self, version: usize, port: u16) -> Option<TcpStream> {
        let to = SocketAddr::new(ADDRESSES[0][version].parse().expect("an address"), port);
        let honest = self.honest.clone();
        let connecting = tokio::spawn(async move { honest.connect(to).await });
        self.pump().await;
        self.result(connecting).await?.ok()
    }

    /// What a task came to; one that still waits is given up.
    async fn result<T>(&mut self, task: JoinHandle<T>) -> Option<T> {
        if !task.is_finished() {
            task.abort();
            self.pump().await;
        }
        task.await.ok()
    }

    /// Lets all tasks run and carries their frames, until there are no more.
    async fn pump(&mut self) {
        let (mut turns, mut silent) = (0, 0);
        while silent < SILENCE {
            yield_now().await;
            silent += 1;
            while let Some((frame, meta)) = self.at_target.try_recv() {
                self.attacker.see(&frame, true);
                self.at_honest.send(frame, meta).expect("there is room");
                silent = 0;
            }
            while let Some((frame, meta)) = self.at_honest.try_recv() {
                self.attacker.see(&frame, false);
                self.at_target.send(frame, meta).expect("there is room");
                silent = 0;
            }
            turns += 1;
            assert!(turns < MOST_TURNS, "the stacks answer each other for ever");
        }
        assert!(self.target.is_running() && self.honest.is_running());
    }

    /// One step of the input; says whether it fed a frame.
    async fn step(&mut self, input: &mut Input<'_>) -> bool {
        match input.byte() % 16 {
            0 => self.pass(Duration::from_micros(input.word().into())).await,
            1 => {
                let span = Duration::from_millis(u64::from(input.word()) % 4_096);
                self.pass(span).await;
            }
            2 | 3 => self.call(input).await,
            kind => {
                let (frame, meta) = self.attacker.frame(kind, input);
                self.at_target.send(frame, meta).expect("there is room");
                // Several frames may come before the stack's driver has its turn.
                if input.byte() & 7 != 0 {
                    self.pump().await;
                }
                return true;
            }
        }
        self.pump().await;
        false
    }

    async fn pass(&mut self, span: Duration) {
        tokio::time::advance(span).await;
    }

    /// The honest end works on one of the connections under attack.
    async fn call(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        if what.is_multiple_of(4) && self.victims.len() < MOST_VICTIMS {
            let opened = self.open(usize::from(what >> 7), VICTIM).await;
            self.victims.extend(opened);
        }
        if self.victims.is_empty() {
            return;
        }
        let nth = usize::from(input.byte()) % self.victims.len();
        let victim = &mut self.victims[nth];
        // Whatever they answer is right here.
        let _ = victim.try_read(&mut [0; 4_096]);
        let _ = victim.try_write(&vec![9; usize::from(what) * 16]);
        match what % 8 {
            1 => drop(self.victims.swap_remove(nth)),
            2 => self.victims.swap_remove(nth).abort(),
            3 => {
                let _ = victim.shutdown().await;
            }
            _ => {}
        }
    }

    /// Every innocent connection still has its echo, once the neighbours have found each other
    /// again.
    async fn check_liveness(&mut self) {
        self.victims.clear();
        for mut innocent in std::mem::take(&mut self.innocents) {
            let talk = tokio::spawn(async move {
                innocent.write_all(b"ping").await?;
                let mut echo = [0; 4];
                innocent.read_exact(&mut echo).await?;
                Ok::<_, std::io::Error>(echo)
            });
            for _ in 0..600 {
                self.pump().await;
                if talk.is_finished() {
                    break;
                }
                self.pass(Duration::from_millis(500)).await;
            }
            assert!(talk.is_finished(), "an innocent connection hangs");
            let echo = talk.await.expect("no panic");
            assert_eq!(echo.expect("an innocent connection lives"), *b"ping");
        }
    }
}

fn builder(link: MemoryLink, host: usize) -> StackBuilder {
    let [v4, v6] = ADDRESSES[host];
    Stack::in_memory(link)
        .address(format!("{v4}/24"))
        .address(format!("{v6}/64"))
        .probe(Duration::ZERO)
        .spin(Duration::ZERO)
        .offload(false)
        .tcp(TcpConfig {
            send_buffer: BufferSize::Fixed(BUFFER),
            recv_buffer: BufferSize::Fixed(BUFFER),
            ..TcpConfig::default()
        })
}

/// Echoes on every connection.
async fn serve(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
            let _ = writer.shutdown().await;
        });
    }
}
