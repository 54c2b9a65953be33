//! Ambient stack: the scope's, the process' default, or the environment's.

use std::env;
use std::io;
use std::sync::{PoisonError, RwLock};

use crate::error::StackError;
use crate::stack::Stack;

tokio::task_local! {
    static SCOPE: Stack;
}

static DEFAULT: RwLock<Option<Stack>> = RwLock::new(None);

/// The stack that the environment asked for, once it was started.
static FROM_ENVIRONMENT: RwLock<Option<Stack>> = RwLock::new(None);

/// Locked while that stack is being started.
static STARTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The interface's name.
const INTERFACE: &str = "TIDEWIRE_IFACE";
/// The address and prefix length; several are separated by commas.
const ADDRESS: &str = "TIDEWIRE_ADDR";
/// The gateway, optional; one for each IP version, separated by a comma.
const GATEWAY: &str = "TIDEWIRE_GATEWAY";

impl Stack {
    /// Makes this the stack that [`TcpStream::connect`], [`TcpListener::bind`] and the other static
    /// constructors use where no [`scope`](Self::scope) says otherwise, in the whole process.
    ///
    /// [`TcpStream::connect`]: crate::net::TcpStream::connect
    /// [`TcpListener::bind`]: crate::net::TcpListener::bind
    pub fn set_default(&self) {
        put(&DEFAULT, self.clone());
    }

    /// Runs `future` with this stack as the one that static constructors use. Tasks that it spawns
    /// do not inherit it.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        SCOPE.scope(self.clone(), future).await
    }

    /// The stack that static constructors would use now, where none has to be started for that.
    ///
    /// # Errors
    /// [`StackError::NoStack`].
    pub fn current() -> Result<Self, StackError> {
        current().ok_or(StackError::NoStack)
    }

    /// [`current`](Self::current), or the one that the environment asks for, which the first call
    /// starts. It is started again when the runtime that drove it is gone.
    pub(crate) async fn ambient() -> io::Result<Self> {
        if let Some(stack) = current() {
            return Ok(stack);
        }
        let _starting = STARTING.lock().await;
        if let Some(stack) = running() {
            return Ok(stack);
        }
        let stack = start_from(|name| env::var(name).ok()).await?;
        put(&FROM_ENVIRONMENT, stack.clone());
        Ok(stack)
    }
}

/// The scope's stack, the default, or the environment's where it was started already.
fn current() -> Option<Stack> {
    let of_scope = SCOPE.try_with(Stack::clone).ok();
    of_scope.or_else(|| get(&DEFAULT)).or_else(running)
}

/// The environment's stack.
fn running() -> Option<Stack> {
    get(&FROM_ENVIRONMENT).filter(Stack::is_running)
}

fn get(of: &RwLock<Option<Stack>>) -> Option<Stack> {
    of.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn put(into: &RwLock<Option<Stack>>, stack: Stack) {
    let mut place = into.write().unwrap_or_else(PoisonError::into_inner);
    let old = place.replace(stack);
    // Dropped outside of the lock: the last handle of a stack calls into it.
    drop(place);
    drop(old);
}

async fn start_from(variable: impl Fn(&str) -> Option<String>) -> Result<Stack, StackError> {
    let interface = variable(INTERFACE).ok_or(StackError::NoStack)?;
    let addresses = variable(ADDRESS).ok_or(StackError::NoStack)?;
    let mut builder = Stack::on(interface);
    for address in addresses.split(',') {
        builder = builder.address(address.trim());
    }
    for gateway in variable(GATEWAY).iter().flat_map(|list| list.split(',')) {
        builder = builder.gateway(gateway.trim());
    }
    builder.start().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::MemoryLink;

    /// Starts nothing: the interface does not exist, which shows that the variables were read.
    #[tokio::test]
    async fn the_environment_names_interface_and_address() {
        let with = |set: &'static [(&str, &str)]| {
            start_from(|name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let both = [(INTERFACE, "no-such-iface"), (ADDRESS, "10.0.0.2/24")];
        assert!(matches!(with(&[]).await, Err(StackError::NoStack)));
        assert!(matches!(
            with(&[(INTERFACE, "no-such-iface")]).await,
            Err(StackError::NoStack)
        ));
        let both: &'static [(&str, &str)] = Box::leak(Box::new(both));
        assert!(matches!(
            with(both).await,
            Err(StackError::NoSuchInterface { interface, .. }) if interface == "no-such-iface"
        ));
        for gateways in ["nonsense", "10.0.0.1, nonsense"] {
            let set = [
                (INTERFACE, "x"),
                (ADDRESS, "10.0.0.2/24, 2001:db8::2/64"),
                (GATEWAY, gateways),
            ];
            assert!(matches!(
                with(Box::leak(Box::new(set))).await,
                Err(StackError::BadGateway(text)) if text == "nonsense"
            ));
        }
    }

    /// What needs a stack without an `await`, such as `TcpSocket::listen`, finds it once it is
    /// there.
    #[tokio::test]
    async fn the_environments_stack_is_the_current_one_while_it_runs() {
        assert!(current().is_none());
        let (link, _other_end) = MemoryLink::pair();
        let builder = Stack::in_memory(link).address("10.0.0.2/24");
        let stack = builder.start().await.unwrap();
        put(&FROM_ENVIRONMENT, stack.clone());
        assert!(current().is_some());
        stack.shutdown(std::time::Duration::ZERO).await.ok();
        assert!(current().is_none());
    }
}
