"""A Redis behind TLS, and a Redis Cluster: real servers, named by their URLs."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time

import pytest
import trustme

from fusebill_async import FusebillClient, Outcome, StoreUnavailableError
from fusebill_async.stores import RedisStore
from fusebill_async.testing import FusebillSimulator
from tests.stores.conftest import missing


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(folder, port, *options):
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server is not installed")
    folder.mkdir(exist_ok=True)
    usual = ("--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes")
    with subprocess.Popen([program, *usual, *options], stdout=subprocess.DEVNULL) as process:
        try:
            for _ in range(500):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                    break
                time.sleep(0.01)
            yield
        finally:
            process.kill()


async def holds(url, *customers):
    """Hold customers under keys, twice, and see that the second time the record answers."""
    async with FusebillSimulator() as fusebill:
        for each in customers:
            fusebill.add_customer(id=each, status="Active")
        async with FusebillClient("key", base_url=fusebill.base_url, account="one", store=RedisStore(url)) as client:
            hold = client.with_response.customers.hold
            first = await asyncio.gather(*(hold(each, idempotency_key=f"order-{each}") for each in customers))
            again = await asyncio.gather(*(hold(each, idempotency_key=f"order-{each}") for each in customers))
            assert client.unresolved() == []
            assert client.quota.shared
            assert (await client.recorded(f"order-{customers[0]}")).outcome is Outcome.APPLIED
        assert [each.replayed for each in (*first, *again)] == [False] * len(customers) + [True] * len(customers)
        assert [fusebill.effects("hold", each) for each in customers] == [1] * len(customers)


async def test_tls_with_a_password(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    chain, key, ca = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    port, word = free_port(), "nobodys-word"
    tls = ("--tls-port", str(port), "--tls-cert-file", str(chain), "--tls-key-file", str(key), "--tls-ca-cert-file")
    with server(
        tmp_path / "redis", port, "--port", "0", *tls, str(ca), "--tls-auth-clients", "no", "--requirepass", word
    ):
        url = f"rediss://:{word}@localhost:{port}/0"
        await holds(f"{url}?ssl_ca_certs={ca}", 1, 2)
        store = RedisStore(url, wait=0)
        store.open("account")
        with pytest.raises(StoreUnavailableError, match="certificate") as unknown:
            await store.check()
        assert word not in str(unknown.value)
        await store.aclose()


async def test_a_cluster_of_two(tmp_path):
    ports, half = (free_port(), free_port()), 8192
    import redis

    with contextlib.ExitStack() as stack:
        for port in ports:
            options = ("--port", str(port), "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
            stack.enter_context(server(tmp_path / str(port), port, *options))
        one, other = (stack.enter_context(redis.Redis(port=port)) for port in ports)
        one.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, half - 1)
        other.execute_command("CLUSTER", "ADDSLOTSRANGE", half, 16383)
        bus = one.config_get("cluster-port")["cluster-port"]
        other.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0], bus)
        until = time.monotonic() + 30
        while not all(b"cluster_state:ok" in each.execute_command("CLUSTER", "INFO") for each in (one, other)):
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        for port in ports:
            # The keys of the account are on one of the two, whichever is named.
            await holds(f"redis+cluster://127.0.0.1:{port}/0", *range(port, port + 5))
