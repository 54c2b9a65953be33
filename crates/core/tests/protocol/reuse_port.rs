//! Listeners that share an address and port (`SO_REUSEPORT`).

use tidewire_core::{ConnectOptions, Event, ListenError, ListenOptions};

use crate::common::Pair;

fn sharing() -> ListenOptions {
    ListenOptions {
        reuse_port: true,
        ..ListenOptions::default()
    }
}

#[test]
fn a_port_is_shared_only_where_all_listeners_agree() {
    let mut pair = Pair::new(&["10.0.0.1/24"], &["10.0.0.2/24"]);
    let any = "0.0.0.0:80".parse().unwrap();
    let exact = "10.0.0.2:80".parse().unwrap();
    pair.b.listen(any, sharing()).unwrap();
    for address in [any, exact] {
        let refused = pair.b.listen(address, ListenOptions::default());
        assert_eq!(refused, Err(ListenError::AddrInUse));
        assert!(pair.b.listen(address, sharing()).is_ok());
    }
}

#[test]
fn connections_are_spread_and_each_listener_hears_of_its_own() {
    let mut pair = Pair::new(&["10.0.0.1/24"], &["10.0.0.2/24"]);
    let address = "10.0.0.2:80".parse().unwrap();
    let listeners = [0, 1, 2].map(|_| pair.b.listen(address, sharing()).unwrap());
    for _ in 0..90 {
        let now = pair.now;
        let options = ConnectOptions::default();
        pair.a.connect(now, address, options).unwrap();
    }
    pair.run();
    let mut told = Vec::new();
    while let Some(event) = pair.b.poll_event() {
        if let Event::Acceptable(id) = event {
            told.push(id);
        }
    }
    let accepted = listeners.map(|id| {
        assert!(told.contains(&id));
        std::iter::from_fn(|| pair.b.accept(id)).count()
    });
    assert_eq!(accepted.iter().sum::<usize>(), 90);
    assert!(accepted.iter().all(|&count| count > 10), "{accepted:?}");
}

#[test]
fn a_listener_that_closes_leaves_new_connections_to_the_others() {
    let mut pair = Pair::new(&["10.0.0.1/24"], &["10.0.0.2/24"]);
    let address = "10.0.0.2:80".parse().unwrap();
    let [first, second] = [0, 1].map(|_| pair.b.listen(address, sharing()).unwrap());
    let now = pair.now;
    pair.b.close_listener(now, first);
    for _ in 0..20 {
        let options = ConnectOptions::default();
        pair.a.connect(now, address, options).unwrap();
    }
    pair.run();
    assert_eq!(std::iter::from_fn(|| pair.b.accept(second)).count(), 20);
}
