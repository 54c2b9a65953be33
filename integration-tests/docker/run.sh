#!/usr/bin/env bash
# Tidewire and the kernel's TCP in two containers on one network: a Tidewire server with a kernel client, then a kernel
# server with a Tidewire client.
#
# Needs a Docker engine, and nothing from a registry: the image holds two static programs and no more. The containers have
# Docker's default capabilities. Tidewire takes an address of the network that no container's kernel has.
set -euo pipefail
cd "$(dirname "$0")/../.."

docker() { timeout --foreground --kill-after=5 120 docker "$@"; }

if ! answer=$(docker version 2>&1); then
    echo "SKIPPED, no Docker engine answers: ${answer##*$'\n'}" >&2
    # Where CI is set, a test that cannot run is a failure.
    if [ -n "${CI:-}" ]; then exit 1; fi
    exit 0
fi

name=tidewire-test-$$
programs=$(mktemp -d)

clean_up() {
    trap '' INT TERM
    {
        docker rm --force "$name-server" "$name-client" || true
        docker network rm "$name" || true
        docker rmi --force "$name" || true
    } >/dev/null 2>&1
    rm -rf "$programs"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

build_image() {
    local host target
    host=$(rustc -vV | sed -n 's/^host: //p')
    target=${CARGO_TARGET_DIR:-target}/$host/debug
    # With --target, the flags are not those of build scripts and macros, which cannot be static.
    RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' timeout --foreground 1800 cargo build --quiet \
        --target "$host" --package tidewire-integration-tests --bin echo_server --bin docker_peer
    cp "$target/echo_server" "$target/docker_peer" "$programs"
    printf 'FROM scratch\nCOPY echo_server docker_peer /\n' >"$programs/Dockerfile"
    docker build --quiet --tag "$name" "$programs" >/dev/null 2>"$programs/error" || { cat "$programs/error" >&2; exit 1; }
}

# A network of its own, on the first of these subnets that is free.
make_network() {
    local third
    for third in {77..96}; do
        subnet=10.213.$third
        if docker network create --subnet "$subnet.0/24" "$name" >/dev/null 2>"$programs/error"; then return; fi
    done
    cat "$programs/error" >&2
    exit 1
}

# serve PROGRAM ARGUMENT...: starts a server and waits until it listens.
serve() {
    docker run --detach --name "$name-server" --network "$name" --ip "$subnet.2" "$name" "$@" >/dev/null
    for _ in {1..100}; do
        if [[ $(docker logs "$name-server" 2>&1) == *listening* ]]; then return; fi
        sleep 0.1
    done
    echo "FAILED, the server does not listen: $(docker logs "$name-server" 2>&1)" >&2
    exit 1
}

# check TCP SERVER: runs a client to its end, on the kernel's TCP or on Tidewire's.
check() {
    if ! docker run --rm --name "$name-client" --network "$name" --ip "$subnet.3" \
        --env TIDEWIRE_IFACE=eth0 --env "TIDEWIRE_ADDR=$tidewire/24" "$name" /docker_peer check "$@"; then
        echo "FAILED; the server says: $(docker logs "$name-server" 2>&1 | tail -n 20)" >&2
        exit 1
    fi
    docker rm --force "$name-server" >/dev/null
}

build_image
make_network
kernel=$subnet.2 tidewire=$subnet.20

echo "Tidewire serves, the kernel connects:"
serve /echo_server eth0 "$tidewire/24"
check kernel "$tidewire:7"

echo "The kernel serves, Tidewire connects:"
serve /docker_peer serve "$kernel:7"
check tidewire "$kernel:7"
echo "ok"
