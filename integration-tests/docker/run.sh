#!/usr/bin/env bash
# Tidewire and the kernel's TCP in containers on one network: a Tidewire server with a kernel client, a kernel server with a
# Tidewire client; and the same with HTTP, by compose.yaml: axum and hyper on Tidewire, nginx and curl on the kernel.
#
# Needs a Docker engine with compose, curl and nginx, and nothing from a registry: the images hold static programs, and this
# machine's curl and nginx. The containers have Docker's default capabilities. Tidewire takes addresses of the network that no
# container's kernel has.
set -euo pipefail
cd "$(dirname "$0")/../.."

docker() { timeout --foreground --kill-after=5 120 docker "$@"; }

# Where CI is set, a test that cannot run is a failure.
skip() {
    echo "SKIPPED, $*" >&2
    if [ -n "${CI:-}" ]; then exit 1; fi
    exit 0
}

if ! answer=$(docker version 2>&1); then skip "no Docker engine answers: ${answer##*$'\n'}"; fi
for program in curl nginx; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
if docker compose version >/dev/null 2>&1; then
    compose() { docker compose "$@"; }
elif command -v docker-compose >/dev/null; then
    compose() { timeout --foreground --kill-after=5 120 docker-compose "$@"; }
else
    skip "Docker has no compose"
fi

name=tidewire-test-$$
folder=$(mktemp -d)
export COMPOSE_PROJECT_NAME=$name COMPOSE_FILE=$PWD/integration-tests/docker/compose.yaml NAME=$name FOLDER=$folder
export SUBNET="" KERNEL="" TIDEWIRE=""

clean_up() {
    trap '' INT TERM
    {
        compose down || true
        docker rm --force "$name-server" "$name-client" || true
        docker network rm "$name" || true
        docker rmi --force "$name" "$name-nginx" "$name-curl" || true
    } >/dev/null 2>&1
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

build_images() {
    local host target
    host=$(rustc -vV | sed -n 's/^host: //p')
    target=${CARGO_TARGET_DIR:-target}/$host/debug
    # With --target, the flags are not those of build scripts and macros, which cannot be static.
    RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' timeout --foreground 1800 cargo build --quiet --locked \
        --target "$host" --package tidewire-integration-tests "${programs[@]/#/--bin=}"
    pack tidewire "${programs[@]/#/$target/}"
    pack curl --with-libraries "$(command -v curl)"
    pack nginx --with-libraries "$(command -v nginx)"
    cp integration-tests/docker/nginx.conf "$folder/nginx/root"
    mkdir -p "$folder/nginx/root"/{etc,site,tmp}
    echo 'root:x:0:0:::' >"$folder/nginx/root/etc/passwd"
    echo 'root:x:0:' >"$folder/nginx/root/etc/group"
    printf %s "$greeting" >"$folder/nginx/root/site/greeting"
    compose build >"$folder/error" 2>&1 || { cat "$folder/error" >&2; exit 1; }
}

programs=(echo_server docker_peer http_server http_client)
greeting="hello from the kernel's TCP"

# pack NAME PROGRAM...: the files of an image that holds programs, at its root.
# pack NAME --with-libraries PROGRAM: the same of a program of this machine, where it is here.
pack() {
    local root=$folder/$1/root
    mkdir -p "$root"
    printf 'FROM scratch\nCOPY root /\n' >"$folder/$1/Dockerfile"
    if [ "$2" = --with-libraries ]; then
        ldd "$3" | grep --only-matching '/[^ ]*' | xargs cp --dereference --parents --target-directory "$root" "$3"
    else
        cp "${@:2}" "$root"
    fi
}

# A network of its own, on the first of these subnets that is free.
make_network() {
    local third
    for third in {77..96}; do
        subnet=10.213.$third
        if docker network create --subnet "$subnet.0/24" "$name" >/dev/null 2>"$folder/error"; then return; fi
    done
    cat "$folder/error" >&2
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
        --env TIDEWIRE_IFACE=eth0 --env "TIDEWIRE_ADDR=$TIDEWIRE/24" "$name" /docker_peer check "$@"; then
        echo "FAILED; the server says: $(docker logs "$name-server" 2>&1 | tail -n 20)" >&2
        exit 1
    fi
    docker rm --force "$name-server" >/dev/null
}

# http EXPECTED CLIENT ARGUMENT...: runs a client of compose.yaml, and wants this output.
http() {
    local output
    output=$(compose run --rm -T "${@:2}" 2>"$folder/error") || true
    if [ "$output" != "$1" ]; then
        printf 'FAILED: %s\nwanted: %s\ngot: %s\n' "${*:2}" "$1" "$output" >&2
        cat "$folder/error" >&2
        compose logs --no-color --tail 20 >&2
        exit 1
    fi
}

check_http() {
    local status='%{http_code} %{num_connects} %{size_download}\n' bytes=http://$TIDEWIRE/bytes
    compose up --detach --no-build tidewire-server nginx >"$folder/error" 2>&1 || { cat "$folder/error" >&2; exit 1; }
    # The first client waits for both servers.
    http "$greeting" curl --retry 30 --retry-delay 1 --retry-all-errors "http://$KERNEL/greeting"
    http "hello from user space" curl --retry 30 --retry-delay 1 --retry-all-errors "http://$TIDEWIRE/"

    echo "curl, from axum on Tidewire: bodies, a missing page, many at once"
    http $'200 1 268435456\n200 0 0\n404 0 0' curl --write-out "$status" \
        "$bytes/268435456" "$bytes/0" "http://$TIDEWIRE/missing" "${discard[@]}" "${discard[@]}" "${discard[@]}"
    http "$(printf '200 1 1000000\n%.0s' {1..50})" curl --parallel --parallel-immediate --write-out "$status" \
        "$bytes/1000000?[1-50]" "${discard[@]}"

    echo "hyper on Tidewire, from nginx, and from axum on Tidewire"
    http $'/greeting: 200 OK, 27 bytes\n/missing: 404 Not Found, 153 bytes\n/greeting: 200 OK, 27 bytes' \
        tidewire-client "$KERNEL:80" /greeting /missing /greeting
    http $'/: 200 OK, 22 bytes\n/bytes/268435456: 200 OK, 268435456 bytes' \
        tidewire-client "$TIDEWIRE:80" / /bytes/268435456
    compose down >/dev/null 2>&1
}
discard=(--output /dev/null)

build_images
make_network
export SUBNET=$subnet KERNEL=$subnet.3 TIDEWIRE=$subnet.20

echo "Tidewire serves, the kernel connects:"
serve /echo_server eth0 "$TIDEWIRE/24"
check kernel "$TIDEWIRE:7"

echo "The kernel serves, Tidewire connects:"
serve /docker_peer serve "$subnet.2:7"
check tidewire "$subnet.2:7"

echo "HTTP, with nginx and curl on the kernel's TCP:"
check_http
echo "ok"
