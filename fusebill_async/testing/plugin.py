"""The pytest plugin. It is found by its entry point, so it must cost nothing to those who do not use it.

It gives the fixtures `fusebill_simulator` and `fusebill_client`, and a mark for tests in virtual time, in which a quiet
period of a minute takes no time. The fixtures work with pytest-asyncio, in either mode, and with anyio's own plugin on
asyncio; the mark needs pytest-asyncio:

    @pytest.mark.fusebill_simulated(seed=7)
    async def test_lost_activation(fusebill_simulator, fusebill_client):
        fusebill_simulator.add_customer(id=1, status="Draft")
        fusebill_simulator.inject(Fault.reset_before_effect(operation="activate", times=1))
        with pytest.raises(NotAppliedError):  # read twice, a minute apart
            await fusebill_client.customers.activate(1, True, True, False)
        assert fusebill_simulator.effects("activate", 1) == 0

The test fails at its end if a fault that it injected never struck, if the client leaves a write unresolved, or if a
write happened that no `assert_effects` names in a test which names some. `@pytest.mark.fusebill_strict(False)` leaves
that out, `fusebill_strict(faults=False)`, `(unresolved=False)` or `(writes=False)` one part of it, and the setting
`fusebill_strict = false` all of it for every test.

`fusebill_server` is a simulator for the whole run in a thread of its own, for tests that are not asynchronous.

`seed`, `start` and `limit` are those of `run_simulated`; every other argument is one of `SimulatedNetwork`, as in
`fusebill_simulated(seed=7, split=0.5, reset=0.1)`. Fixtures of function scope live in the same virtual time. The loop
shows the network and the clocks: `asyncio.get_running_loop().network` and `.clock`.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from fusebill_async.client import FusebillClient
    from fusebill_async.testing.simulator import FusebillSimulator
    from fusebill_async.testing.threaded import FusebillServer

_MARK = "fusebill_simulated"
_LOOP: pytest.StashKey[asyncio.AbstractEventLoop] = pytest.StashKey()

_STRICT = "fusebill_strict"
_PASSED: pytest.StashKey[bool] = pytest.StashKey()
_LEFT_OPEN: pytest.StashKey[list[str]] = pytest.StashKey()
_SERVER: pytest.StashKey[FusebillServer] = pytest.StashKey()

_SCOPES = ("function", "class", "module", "package", "session")
"""Of event loops. A fixture has one for good, and a test names its own: so there is one of each for each of them."""


def _async_fixture(function: Any, scope: str) -> Any:
    """Make a fixture in the loop of a scope, for auto and strict mode; another plugin may run it, too."""
    # pytest-asyncio notes the scope on the function.
    own = FunctionType(function.__code__, function.__globals__, f"{function.__name__}_{scope}")
    own.__annotations__ = function.__annotations__
    try:
        import pytest_asyncio  # noqa: PLC0415  # optional
    except ImportError:
        return pytest.fixture(own)
    return cast("Any", pytest_asyncio).fixture(loop_scope=scope)(own)  # its own types are incomplete


def _loop_scope(request: pytest.FixtureRequest) -> str:
    """The scope of the event loop that a test runs in."""
    mark = request.node.get_closest_marker("asyncio")
    named = None if mark is None else mark.kwargs.get("loop_scope") or mark.kwargs.get("scope")
    if named is None and request.config.pluginmanager.hasplugin("asyncio"):
        named = request.config.getini("asyncio_default_test_loop_scope")
    return str(named or "function")


def _fixture_scope(request: pytest.FixtureRequest) -> str:
    """Which of the fixtures a test needs: that for the scope of its loop, or the one that anyio leaves alone."""
    return "anyio" if "anyio_backend" in request.fixturenames else _loop_scope(request)


@pytest.fixture
def fusebill_simulator(request: pytest.FixtureRequest) -> Generator[FusebillSimulator]:
    """A running simulator without customers, in the event loop of the test."""
    simulator: FusebillSimulator = request.getfixturevalue(f"_started_simulator_{_fixture_scope(request)}")
    yield simulator
    # The client was closed before this.
    _check(request.node, simulator)


@pytest.fixture(scope="session")
def fusebill_server(request: pytest.FixtureRequest) -> Generator[FusebillServer]:
    """A simulator in a thread of its own, for every test of the run that is not asynchronous.

    After each test that uses it its requests, effects and faults are forgotten. Its customers stay.
    """
    from fusebill_async.testing.threaded import FusebillServer  # noqa: PLC0415  # only when it is used

    with FusebillServer() as server:
        request.config.stash[_SERVER] = server
        yield server


@pytest.fixture
def fusebill_client(request: pytest.FixtureRequest, fusebill_simulator: FusebillSimulator) -> FusebillClient:
    """A client of `fusebill_simulator` that settles within a fraction of a second, in the event loop of the test.

    In virtual time it has the default settings, but waits for settling as long as it takes.
    """
    del fusebill_simulator
    return cast("FusebillClient", request.getfixturevalue(f"_opened_client_{_fixture_scope(request)}"))


async def _started_simulator() -> AsyncIterator[FusebillSimulator]:
    from fusebill_async.testing.simulator import FusebillSimulator  # noqa: PLC0415  # only when it is used

    async with FusebillSimulator() as simulator:
        yield simulator


async def _opened_client(
    fusebill_simulator: FusebillSimulator, request: pytest.FixtureRequest
) -> AsyncIterator[FusebillClient]:
    from fusebill_async.client import FusebillClient  # noqa: PLC0415  # only when it is used
    from fusebill_async.errors import UnresolvedWritesWarning  # noqa: PLC0415
    from fusebill_async.settings import SettlingPolicy  # noqa: PLC0415

    settling = SettlingPolicy(first_read=0.01, quiet_period=0.1, retry_delay=0.02)
    if _mark_of(request.node) is not None:
        settling = SettlingPolicy(wait=3600.0)
    client = FusebillClient("key", base_url=fusebill_simulator.base_url, settling=settling)
    async with client:
        yield client
        with warnings.catch_warnings():
            if _strictness(request.node)["unresolved"]:
                # What is left open fails the test, which says more.
                warnings.simplefilter("ignore", UnresolvedWritesWarning)
            await client.aclose()
    request.node.stash[_LEFT_OPEN] = [str(write) for write in client.unresolved()]


@pytest.fixture
def _started_simulator_anyio(request: pytest.FixtureRequest) -> Generator[FusebillSimulator]:
    yield from _beside_anyio(request, _started_simulator)


@pytest.fixture
def _opened_client_anyio(
    fusebill_simulator: FusebillSimulator, request: pytest.FixtureRequest
) -> Generator[FusebillClient]:
    yield from _beside_anyio(request, _opened_client, fusebill_simulator=fusebill_simulator, request=request)


def _beside_anyio(asked: pytest.FixtureRequest, function: Any, **arguments: Any) -> Generator[Any]:
    """Run an async fixture in the loop of a test that names `anyio_backend`.

    pytest-asyncio in auto mode runs such a test, and anyio's plugin its async fixtures: each in a loop of its own.
    """
    if asked.node.get_closest_marker("asyncio") is not None:
        runner: asyncio.Runner = asked.getfixturevalue(f"_{_loop_scope(asked)}_scoped_runner")
        made = function(**arguments)
        yield runner.run(anext(made))
        runner.run(anext(made, None))
        return
    from anyio import pytest_plugin  # noqa: PLC0415  # optional; who asks for its backend has it

    anyio: Any = pytest_plugin
    backend = asked.getfixturevalue("anyio_backend")
    with anyio.get_runner(*anyio.extract_backend_and_options(backend)) as leased:
        yield from leased.run_asyncgen_fixture(function, arguments)


for _scope in _SCOPES:
    for _made in (_started_simulator, _opened_client):
        globals()[f"{_made.__name__}_{_scope}"] = _async_fixture(_made, _scope)


# -- what is left at the end of a test ---------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Tell pytest of the setting."""
    parser.addini(
        _STRICT, "fail a test that leaves a fault, an open write or an unexpected write", "bool", default=True
    )


def _strictness(node: Any) -> dict[str, bool]:
    """What is looked at when a test ends."""
    mark: pytest.Mark | None = node.get_closest_marker(_STRICT)
    everything = mark.args[0] if mark is not None and mark.args else node.config.getini(_STRICT)
    parts: dict[str, bool] = {name: bool(everything) for name in ("faults", "unresolved", "writes")}
    if mark is None:
        return parts
    if unknown := mark.kwargs.keys() - parts.keys():
        pytest.fail(f"{_STRICT} knows {', '.join(parts)}, and not {', '.join(sorted(unknown))}", pytrace=False)
    return {**parts, **mark.kwargs}


def _check(node: Any, simulator: FusebillSimulator) -> None:
    """Fail a test that passed, but left something that it did not mean."""
    from fusebill_async.testing.explaining import arrived  # noqa: PLC0415  # only when it is used

    if not node.stash.get(_PASSED, False):
        return
    strict = _strictness(node)
    told = simulator.unexpected(faults=strict["faults"], writes=strict["writes"])
    if strict["unresolved"]:
        told += [f"{write} was left unresolved." for write in node.stash.get(_LEFT_OPEN, [])]
    if told:
        pytest.fail("\n".join([*told, arrived(simulator.requests), f"(see the mark {_STRICT})"]), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, object, object]:
    """Note whether a test passed: what another one leaves tells nothing."""
    if call.when == "call":
        item.stash[_PASSED] = call.excinfo is None
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Look at what a test has left at `fusebill_server`, and let the next one begin anew."""
    result = yield
    server = item.config.stash.get(_SERVER, None)
    if server is not None and "fusebill_server" in getattr(item, "fixturenames", ()):
        try:
            server.call(lambda simulator: _check(item, simulator))
        finally:
            server.clear()
    return result


# -- the mark for virtual time -----------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(seed=0, start=, limit=, **network): run this async test in virtual time over an in-memory network",
    )
    config.addinivalue_line(
        "markers",
        f"{_STRICT}(everything, faults=, unresolved=, writes=): what fails this test when it is left at its end",
    )


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Give every test with the mark an event loop of its own, before pytest-asyncio looks at it."""
    made = yield
    items = cast("list[Any]", made) if isinstance(made, list) else [made]  # type: ignore[redundant-cast]
    for item in items:
        if not isinstance(item, pytest.Function) or _mark_of(item) is None:
            continue
        if inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.asyncio(loop_scope="function"), append=False)
        elif any(mark.name == _MARK for mark in item.own_markers):
            # On a whole class or module it is for the async tests in it.
            raise pytest.UsageError(f"{item.nodeid}: {_MARK} is for async tests; use run_simulated in this one")
    return cast("Any", made)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Let the event loop of a test with the mark be one in virtual time; those of a wider scope stay real."""
    mark = _mark_of(request.node) if fixturedef.scope == "function" else None
    with _new_loops(None if mark is None else lambda: _virtual_loop(request.node, mark)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Refuse to run a test with the mark in real time."""
    mark = _mark_of(pyfuncitem)
    if mark is None or pyfuncitem.get_closest_marker("asyncio") is None:
        return (yield)
    if _LOOP not in pyfuncitem.stash:
        pytest.fail(f"{_MARK} needs pytest-asyncio, and no event loop factory of another plugin", pytrace=False)
    try:
        return (yield)
    finally:
        loop: Any = pyfuncitem.stash[_LOOP]
        told = ", ".join(f"{name}={value!r}" for name, value in mark.kwargs.items())
        pyfuncitem.add_report_section("call", _MARK, f"{told}, {loop.clock.elapsed():.6f} s of virtual time")


def _mark_of(node: Any) -> pytest.Mark | None:
    mark: pytest.Mark | None = node.get_closest_marker(_MARK)
    return mark


def _virtual_loop(item: pytest.Item, mark: pytest.Mark) -> asyncio.AbstractEventLoop:
    from fusebill_async.testing.simulated_network import SimulatedNetwork  # noqa: PLC0415  # only when it is used
    from fusebill_async.testing.virtual_time import VirtualTimeLoop  # noqa: PLC0415

    network = dict(mark.kwargs)
    options = {name: network.pop(name) for name in ("seed", "start", "limit") if name in network}
    loop = item.stash[_LOOP] = VirtualTimeLoop(network=SimulatedNetwork(**network), **options)
    return loop


_real_loop = asyncio.events.new_event_loop


@contextmanager
def _new_loops(make: Callable[[], asyncio.AbstractEventLoop] | None) -> Generator[None]:
    """Let `asyncio.Runner` take its event loop from `make`; None is asyncio's own way."""
    outside = asyncio.events.new_event_loop
    asyncio.events.new_event_loop = _real_loop if make is None else make
    try:
        yield
    finally:
        asyncio.events.new_event_loop = outside
