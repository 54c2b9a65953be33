//! Start errors of a stack: each says what is wrong and what to do.

use std::fs;
use std::io::{self, ErrorKind};

use caps::{CapSet, Capability};
use libtest_mimic::Trial;
use tidewire::{Stack, StackBuilder};
use tidewire_cli::lab::INTERFACE;
use tidewire_integration_tests::{Net, Opener, TestResult, on_both_runtimes};

crate::trials!(
    an_interface_that_is_down,
    no_carrier,
    an_address_of_the_kernel,
    an_address_of_another_host,
    an_address_of_another_stack,
    no_capability,
);

/// Trials that do not depend on the IP version.
pub(crate) fn trials_with_ipv4() -> Vec<Trial> {
    [
        on_both_runtimes("start::no_such_interface", no_such_interface),
        on_both_runtimes("start::the_loopback", the_loopback),
        on_both_runtimes(
            "start::a_gateway_on_another_network",
            a_gateway_on_another_network,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The kind and the text of the error, which stay when it becomes an [`io::Error`].
async fn refusal(builder: StackBuilder) -> (ErrorKind, String) {
    let error = builder.start().await.expect_err("it started");
    let text = error.to_string();
    let error = io::Error::from(error);
    assert_eq!(error.to_string(), text);
    (error.kind(), text)
}

fn mentions(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
}

async fn no_such_interface(_: Net) -> TestResult {
    let (kind, text) = refusal(Stack::on("eth77").address("10.77.0.2/24")).await;
    assert_eq!(kind, ErrorKind::NotFound);
    assert_eq!(text, "there is no interface `eth77`; there are: tw0");
    Ok(())
}

async fn the_loopback(_: Net) -> TestResult {
    let (kind, text) = refusal(Stack::on("lo").address("10.77.0.2/24")).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    mentions(&text, &["lo is the loopback", "use another interface"]);
    Ok(())
}

async fn an_interface_that_is_down(net: Net) -> TestResult {
    net.left().ip(&["link", "set", INTERFACE, "down"])?;
    let (kind, text) = refusal(net.builder()).await;
    assert_eq!(kind, ErrorKind::NetworkDown);
    assert_eq!(text, "interface tw0 is down: `ip link set tw0 up`");
    Ok(())
}

async fn no_carrier(net: Net) -> TestResult {
    net.right().ip(&["link", "set", INTERFACE, "down"])?;
    let (kind, text) = refusal(net.builder()).await;
    assert_eq!(kind, ErrorKind::NetworkDown);
    mentions(&text, &["tw0 has no carrier", "ip link set PEER up"]);
    Ok(())
}

async fn an_address_of_the_kernel(net: Net) -> TestResult {
    let address = net.tidewire_address();
    // The lab switches IPv6 off there, where it may; then it may switch it on again.
    let switch = format!("/proc/sys/net/ipv6/conf/{INTERFACE}/disable_ipv6");
    drop(net.left().run(move || fs::write(switch, "0")));
    net.left()
        .ip(&["address", "add", &address, "dev", INTERFACE])?;
    let (kind, text) = refusal(net.builder()).await;
    assert_eq!(kind, ErrorKind::AddrInUse);
    mentions(
        &text,
        &[
            &format!("the kernel has {} on tw0", net.tidewire()),
            &format!("ip address del {} dev tw0", net.tidewire()),
        ],
    );
    Ok(())
}

async fn an_address_of_another_host(net: Net) -> TestResult {
    let link = net.right().ip(&["-o", "link", "show", INTERFACE])?;
    let mac = link
        .split_whitespace()
        .skip_while(|&word| word != "link/ether")
        .nth(1)
        .ok_or("no MAC address")?;
    // The kernel answers for an address only some time after its link came up: a connection shows
    // that it does.
    let stack = net.stack().await?;
    net.connection(&stack, Opener::Tidewire).await?;

    let taken = net.version().with_prefix(net.kernel());
    let (kind, text) = refusal(Stack::on(INTERFACE).address(taken)).await;
    assert_eq!(kind, ErrorKind::AddrInUse);
    mentions(
        &text,
        &[
            mac,
            &format!("has {}", net.kernel()),
            "choose a free address",
        ],
    );
    Ok(())
}

async fn an_address_of_another_stack(net: Net) -> TestResult {
    let first = net.stack().await?;
    // A packet socket also receives what another one on the same interface sent; a stack on the
    // other side receives it, too.
    let builder = net.builder();
    let far = net.on_right(async {
        let start = builder.start();
        Ok(start.await.expect_err("it started").to_string())
    });
    let has = format!("has {}", net.tidewire());
    mentions(&far.await?, &[&first.mac().to_string(), &has]);
    Ok(())
}

async fn a_gateway_on_another_network(net: Net) -> TestResult {
    let (kind, text) = refusal(net.builder().gateway("10.78.0.1")).await;
    assert_eq!(kind, ErrorKind::InvalidInput);
    mentions(&text, &["gateway", "link"]);
    Ok(())
}

/// Capabilities belong to a thread: this one gives them up, and ends with the test.
async fn no_capability(net: Net) -> TestResult {
    let builder = net.builder();
    let refused = net.left().run(move || {
        caps::drop(None, CapSet::Effective, Capability::CAP_NET_RAW)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(runtime.block_on(refusal(builder)))
    });
    let (kind, text) = refused?;
    assert_eq!(kind, ErrorKind::PermissionDenied);
    mentions(&text, &["CAP_NET_RAW", "setcap", "sudo", "unshare -Urn"]);
    Ok(())
}
