//! Silent peers: hosts that never answer, or stop answering.

use std::io::ErrorKind;
use std::time::Duration;

use tidewire::TcpConfig;
use tidewire_cli::lab::INTERFACE;
use tidewire_core::KeepAlive;
use tidewire_integration_tests::{Net, Opener, TestResult, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

crate::trials!(
    a_cable_that_is_pulled,
    a_cable_that_comes_back,
    data_is_unacknowledged_for_the_user_timeout,
    an_idle_peer_answers_no_probe,
);

/// Few retransmissions, to keep the test short.
async fn a_cable_that_is_pulled(net: Net) -> TestResult {
    let tcp = TcpConfig {
        data_retries: 2,
        ..TcpConfig::default()
    };
    let stack = net.builder().tcp(tcp).start().await?;
    let (mut ours, _theirs) = net.connection(&stack, Opener::Tidewire).await?;
    net.right().ip(&["link", "set", INTERFACE, "down"])?;
    ours.write_all(b"is anybody there?").await?;
    let error = ours.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    Ok(())
}

async fn a_cable_that_comes_back(net: Net) -> TestResult {
    let stack = net.stack().await?;
    let (mut ours, mut theirs) = net.connection(&stack, Opener::Tidewire).await?;
    net.right().ip(&["link", "set", INTERFACE, "down"])?;
    ours.write_all(b"patience").await?;
    until("it was sent in vain", || ours.info().timeouts > 0).await?;
    net.right().ip(&["link", "set", INTERFACE, "up"])?;
    // Linux forgets the IPv6 addresses of an interface that goes down.
    net.add_address(&net.version().with_prefix(net.kernel()), INTERFACE)?;
    let mut word = [0; 8];
    theirs.read_exact(&mut word).await?;
    assert_eq!(&word, b"patience");
    Ok(())
}

/// The peer's host forgets its address: frames arrive, and nothing comes back.
fn fall_silent(net: &Net) -> TestResult {
    let address = net.version().with_prefix(net.kernel());
    net.right()
        .ip(&["address", "del", &address, "dev", INTERFACE])?;
    Ok(())
}

/// RFC 9293 §3.8.3, MUST-21.
async fn data_is_unacknowledged_for_the_user_timeout(net: Net) -> TestResult {
    let tcp = TcpConfig {
        user_timeout: Some(Duration::from_secs(1).into()),
        ..TcpConfig::default()
    };
    let stack = net.builder().tcp(tcp).start().await?;
    for opener in Opener::EACH {
        let (mut ours, _theirs) = net.connection(&stack, opener).await?;
        fall_silent(&net)?;
        ours.write_all(b"is anybody there?").await?;
        let error = ours.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        net.add_address(&net.version().with_prefix(net.kernel()), INTERFACE)?;
    }
    Ok(())
}

/// RFC 9293 §3.8.4.
async fn an_idle_peer_answers_no_probe(net: Net) -> TestResult {
    let tcp = TcpConfig {
        keepalive: Some(KeepAlive {
            idle: Duration::from_millis(300).into(),
            interval: Duration::from_millis(100).into(),
            count: 3,
        }),
        ..TcpConfig::default()
    };
    let stack = net.builder().tcp(tcp).start().await?;
    let (mut ours, _theirs) = net.connection(&stack, Opener::Kernel).await?;
    fall_silent(&net)?;
    let error = ours.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    Ok(())
}
