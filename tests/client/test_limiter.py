"""No request is one too many, none waits longer than it must, and none is forgotten. Time is simulated."""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

import anyio
import anyio.lowlevel
import pytest

from salesos_inbox.client.calling import calling, on_wait
from salesos_inbox.client.limiter import LONGEST_TURN, Limiter
from salesos_inbox.errors import RateLimited
from salesos_inbox.sandbox.limits import DOCUMENTED_LIMITS, Limits, Meter
from salesos_inbox.settings import REQUESTS_PER_MINUTE
from simulated import SimulatedTime
from trials import now

TEN_MINUTES = 600.0
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": SimulatedTime}


@dataclass
class Service:
    """A service behind a network, that counts a request when it arrives there."""

    limits: Limits = DOCUMENTED_LIMITS
    latency: Callable[[], tuple[float, float]] = lambda: (0.02, 0.05)
    """Seconds until a request arrives, and from there until its answer does."""
    has_headers: bool = True
    limiter: Limiter = field(default_factory=lambda: Limiter(clock=lambda: now().timestamp()))
    statuses: Counter[int] = field(default_factory=Counter[int])
    arrivals: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])

    def __post_init__(self) -> None:
        self.meter = Meter(self.limits)

    def count(self) -> tuple[int, Mapping[str, str]]:
        """Count a request, and return the status and the headers of its answer."""
        allowance = self.meter.spend("sam", now())
        headers = {name.lower(): value for name, value in allowance.headers().items()} if self.has_headers else {}
        if allowance.retry_after:
            return 429, {**headers, "retry-after": str(allowance.retry_after)} if self.has_headers else {}
        return 200, headers

    async def request(self, name: str = "", *, is_write: bool = False) -> int:
        """Make a request when it has its turn, and return its status."""
        async with self.limiter.turn(is_write=is_write) as heed:
            there, back = self.latency()
            await anyio.sleep(there)
            status, headers = self.count()
            self.arrivals.append((anyio.current_time(), name))
            await anyio.sleep(back)
            heed(status, headers)
        self.statuses[status] += 1
        return status

    async def request_or_not(self) -> None:
        """Make one, unless the line is too long."""
        with suppress(RateLimited):
            await self.request()

    async def busy(self) -> None:
        """Make one request after the other."""
        while True:
            await self.request()

    def names(self) -> list[str]:
        return [name for _, name in self.arrivals]


class Latency(Protocol):
    def __call__(self, lots: Random) -> tuple[float, float]: ...


LATENCIES: dict[str, Latency] = {
    "none": lambda lots: (0.0, 0.0),
    "near": lambda lots: (lots.uniform(0.001, 0.01), lots.uniform(0.001, 0.01)),
    "usual": lambda lots: (lots.uniform(0.02, 0.4), lots.uniform(0.02, 0.4)),
    "jittery": lambda lots: (lots.choice((0.02, 0.02, 3.0)), lots.uniform(0.02, 0.4)),
    "slow": lambda lots: (lots.uniform(0.05, 2.0), lots.uniform(0.05, 2.0)),
    "with a long tail": lambda lots: (min(10.0, lots.expovariate(2)), min(20.0, lots.expovariate(2))),
}


@contextmanager
def a_call(name: object) -> Generator[None]:
    """What is started in here belongs to one tool call."""
    token = calling.set(name)
    try:
        yield
    finally:
        calling.reset(token)


async def spend(service: Service, count: int = REQUESTS_PER_MINUTE) -> None:
    """Spend a minute's requests, and wait a second."""
    for _ in range(count):
        await service.request("earlier")
    service.arrivals.clear()
    await anyio.sleep(1)


# The documented limits


@pytest.mark.parametrize("sliding", [False, True])
@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("seed", range(2))
async def test_none_is_refused_and_nearly_all_that_is_allowed_goes_out(latency: str, sliding: bool, seed: int) -> None:
    lots = Random(f"{seed} {latency} {sliding}")
    service = Service(Limits(100, 20, sliding), lambda: LATENCIES[latency](lots))
    with anyio.move_on_after(TEN_MINUTES):
        async with anyio.create_task_group() as tasks:
            for _ in range(lots.choice((12, 30, 60))):
                tasks.start_soon(service.busy)
    assert service.statuses[429] == 0
    assert service.statuses[200] >= 0.9 * 100 * 10


async def test_requests_that_come_in_fits_and_starts_are_not_refused_either() -> None:
    lots = Random(5)
    for seed in range(10):
        service = Service(Limits(100, 20, sliding=seed % 2 == 0), lambda: LATENCIES["slow"](lots))
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                for _ in range(lots.choice((1, 5, 40, 120))):
                    tasks.start_soon(service.request_or_not)
                await anyio.sleep(lots.choice((0.1, 1.0, 20.0, 59.9, 61.0)))
        assert service.statuses.keys() == {200}


async def test_fifty_threads_are_read_in_a_few_seconds_after_a_quiet_minute() -> None:
    service, begun = Service(), anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(service.request)
    assert service.statuses == {200: 50}
    assert anyio.current_time() - begun < 3


async def test_what_is_never_answered_counts_as_long_as_it_is_waited_for_and_a_minute_longer() -> None:
    limiter = Limiter(1)
    async with limiter.turn():
        await anyio.sleep(30)
    begun = anyio.current_time()
    async with limiter.turn():
        assert anyio.current_time() - begun == pytest.approx(60, abs=0.1)


# What the service says of its limits


@pytest.mark.parametrize("sliding", [False, True])
@pytest.mark.parametrize("per_minute", [REQUESTS_PER_MINUTE, 10_000])
async def test_a_lower_limit_of_the_service_is_kept(per_minute: int, sliding: bool) -> None:
    lots = Random(8)
    limiter = Limiter(per_minute, clock=lambda: now().timestamp())
    service = Service(Limits(40, 20, sliding), lambda: LATENCIES["usual"](lots), limiter=limiter)
    with anyio.move_on_after(TEN_MINUTES):
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(service.busy)
    assert service.statuses[429] == 0
    assert service.statuses[200] >= 0.9 * 40 * 10


async def test_what_other_programs_have_spent_is_not_spent_again() -> None:
    service = Service(Limits(100))
    for _ in range(90):
        service.count()
    begun = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        await service.request()
        for _ in range(20):
            tasks.start_soon(service.request)
    assert service.statuses == {200: 21}
    assert 59 < anyio.current_time() - begun < 63


async def test_after_a_refusal_everybody_waits_as_long_as_it_says() -> None:
    service = Service()
    for _ in range(20):
        service.count()
    async with service.limiter.turn() as heed:
        heed(429, {"retry-after": "20"})
    begun = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(service.request)
    assert service.statuses == {200: 5}
    assert [round(moment - begun) for moment, _ in service.arrivals] == [20] * 5


async def test_a_pause_before_a_repeat_is_not_added_to_what_the_refusal_asked_for() -> None:
    limiter = Limiter()
    async with limiter.turn() as heed:
        heed(429, {"retry-after": "3"})
    await anyio.sleep(3)
    begun = anyio.current_time()
    async with limiter.turn():
        assert anyio.current_time() == begun


async def test_a_service_that_refuses_unforeseen_costs_few_refusals() -> None:
    """Its limit of seconds is lower than known, and no header says so."""
    lots = Random(2)
    service = Service(Limits(100, 8), lambda: LATENCIES["usual"](lots))
    with anyio.move_on_after(TEN_MINUTES):
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(service.busy)
    assert service.statuses[429] < 0.1 * service.statuses[200]
    assert service.statuses[200] >= 0.8 * 100 * 10


# Who goes first


async def test_calls_take_turns_each_in_the_order_of_its_own_requests() -> None:
    service = Service(limiter=Limiter(95, 1))
    await spend(service, 1)
    async with anyio.create_task_group() as tasks:
        for call, count in (("a", 4), ("b", 2), ("c", 1)):
            with a_call(call):
                for number in range(count):
                    tasks.start_soon(service.request, f"{call}{number}")
        await anyio.lowlevel.checkpoint()
    assert service.names() == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


async def test_a_write_does_not_wait_behind_the_reads_of_other_calls() -> None:
    service = Service()
    await spend(service)
    async with anyio.create_task_group() as tasks:
        with a_call("triage"):
            for number in range(30):
                tasks.start_soon(service.request, f"read {number}")
        await anyio.sleep(5)
        with a_call("send"):
            await service.request("write", is_write=True)
        assert service.names() == ["write"]


async def test_a_write_waits_behind_its_own_calls_reads() -> None:
    service = Service(limiter=Limiter(95, 1))
    await spend(service, 1)
    async with anyio.create_task_group() as tasks:
        with a_call("send"):
            tasks.start_soon(service.request, "read")
            await anyio.lowlevel.checkpoint()
            await service.request("write", is_write=True)
    assert service.names() == ["read", "write"]


async def test_reads_have_their_turn_however_many_writes_there_are() -> None:
    service = Service(limiter=Limiter(95, 1))
    await spend(service, 1)
    async with anyio.create_task_group() as tasks:
        for call in range(2):
            with a_call(f"bulk {call}"):
                for _ in range(6):
                    tasks.start_soon(lambda: service.request("write", is_write=True))
        with a_call("triage"):
            for _ in range(2):
                tasks.start_soon(service.request, "read")
        await anyio.lowlevel.checkpoint()
    assert "".join(name[0] for name in service.names()) == "wwwrwwwrwwwwww"


# Who gives up


async def test_a_request_that_is_cancelled_while_it_waits_leaves_its_place_to_the_next() -> None:
    service = Service()
    await spend(service)
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as cancelled:
                for _ in range(30):
                    cancelled.start_soon(service.request, "cancelled")
                await anyio.sleep(3)
                tasks.start_soon(service.request, "next")
                await anyio.sleep(3)
                scope.cancel()
    assert service.names() == ["next"]


async def test_nothing_is_lost_however_requests_are_cancelled() -> None:
    """Afterwards as many may go out as ever, whether they were cancelled waiting, at their turn or under way."""
    for seed in range(60):
        lots = Random(seed)
        service = Service(limiter=Limiter(20, 4), latency=lambda lots=lots: (lots.uniform(0, 0.5), 0.1))

        async def impatient(seconds: float, is_write: bool, call: int, service: Service = service) -> None:
            with anyio.move_on_after(seconds), a_call(call), suppress(RateLimited):
                await service.request(is_write=is_write)

        async with anyio.create_task_group() as tasks:
            for _ in range(60):
                # Turns come at whole seconds and a little, so some are cancelled at that very moment.
                seconds = lots.choice((0.0, 1.05, 2.1, 3.15, lots.uniform(0, 8), 70.0))
                tasks.start_soon(impatient, seconds, lots.random() < 0.3, lots.randrange(4))
        await anyio.sleep(70)
        begun = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(service.request)
        assert anyio.current_time() - begun < 9


async def test_a_turn_that_is_cancelled_as_it_comes_is_the_next_ones() -> None:
    service = Service(limiter=Limiter(1))
    await spend(service, 1)
    async with anyio.create_task_group() as tasks:
        scope = anyio.CancelScope()

        async def first() -> None:
            with scope:
                async with service.limiter.turn():
                    service.arrivals.append((0.0, "first"))

        tasks.start_soon(first)
        await anyio.sleep(1)
        tasks.start_soon(service.request, "second")
        tasks.start_soon(anyio.sleep, 1)
        await anyio.sleep(60.05 - 2 - service.latency()[1])  # its turn is given in the same instant
        scope.cancel()
    assert service.names() == ["second"]
    assert anyio.current_time() < 63


# How long it may take


async def test_what_would_wait_too_long_is_told_at_once_with_the_seconds() -> None:
    service = Service()
    async with service.limiter.turn() as heed:
        heed(429, {"retry-after": "1800"})
    begun = anyio.current_time()
    with pytest.raises(RateLimited) as raised:
        await service.request()
    assert (anyio.current_time(), raised.value.retry_after) == (begun, 1800)
    assert str(raised.value) == (
        "SalesOS takes only so many requests a minute, and this one would have its turn in 1800 seconds: "
        "call again then, or ask for less at a time."
    )


async def test_who_waits_already_is_told_as_soon_as_it_is_clear() -> None:
    service = Service()
    refusals: list[float | None] = []

    async def waits() -> None:
        with pytest.raises(RateLimited) as raised:
            await service.request()
        refusals.append(raised.value.retry_after)

    async with service.limiter.turn() as heed:
        await spend(service, REQUESTS_PER_MINUTE - 1)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(waits)
            await anyio.sleep(5)
            heed(429, {"retry-after": "600"})
    assert refusals == [600] * 5
    assert anyio.current_time() < 15


async def test_a_line_longer_than_two_minutes_takes_no_more() -> None:
    service, refusals = Service(), list[float]()

    async def waits() -> None:
        try:
            await service.request()
        except RateLimited:
            refusals.append(anyio.current_time())

    await spend(service)
    begun = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(400):
            tasks.start_soon(waits)
    assert set(refusals) == {begun}
    assert REQUESTS_PER_MINUTE < 400 - len(refusals) <= 2 * REQUESTS_PER_MINUTE
    assert service.statuses.keys() == {200}


async def test_a_request_may_say_how_long_it_waits() -> None:
    limiter = Limiter(1)
    async with limiter.turn():
        pass
    with pytest.raises(RateLimited):
        async with limiter.turn(longest=20.0):
            pass
    assert LONGEST_TURN > 60
    async with limiter.turn():
        assert anyio.current_time() == pytest.approx(60, abs=0.1)


async def test_broken_headers_hold_nobody_up() -> None:
    service = Service()
    async with service.limiter.turn() as heed:
        heed(
            429,
            {"retry-after": "never", "x-ratelimit-reset": "253402300799", "x-ratelimit-limit": "-5", "date": "today"},
        )
    assert await service.request() == 200
    assert anyio.current_time() < 2


@pytest.mark.parametrize(("per_minute", "per_second", "seconds"), [(10_000, 5, 19.95), (30, 10_000, 180.15)])
async def test_each_limit_holds_by_itself(per_minute: int, per_second: int, seconds: float) -> None:
    limiter = Limiter(per_minute, per_second)
    for _ in range(100):
        async with limiter.turn():
            pass
    assert anyio.current_time() == pytest.approx(seconds, abs=0.2)


# What is said meanwhile


@contextmanager
def told_to(tell: Callable[[float], Awaitable[None]]) -> Generator[None]:
    token = on_wait.set(tell)
    try:
        yield
    finally:
        on_wait.reset(token)


async def test_a_call_is_told_once_when_it_must_wait_and_every_quarter_of_a_minute_again() -> None:
    service, told = Service(), list[tuple[int, int]]()

    async def tell(seconds: float) -> None:
        told.append((round(anyio.current_time() - begun), round(seconds)))

    await spend(service)
    begun = anyio.current_time()
    with told_to(tell), a_call("triage"):
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(service.request)
    left = told[0][1]
    assert 50 < left < 60
    assert told == [(waited, left - waited) for waited in (0, 15, 30, 45)]


async def test_nobody_is_told_of_a_wait_that_nobody_notices() -> None:
    service = Service()

    async def tell(seconds: float) -> None:
        raise AssertionError(seconds)

    with told_to(tell):
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(service.request)
    assert service.statuses == {200: 30}


async def fails(seconds: float) -> None:
    raise ConnectionResetError


async def hangs(seconds: float) -> None:
    await anyio.sleep(math.inf)


@pytest.mark.parametrize("tell", [fails, hangs])
async def test_where_nobody_listens_the_requests_go_out_all_the_same(tell: Callable[[float], Awaitable[None]]) -> None:
    service = Service()
    await spend(service)
    with told_to(tell):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(service.request)
    assert len(service.names()) == 20
    assert anyio.current_time() < 70


def test_one_limiter_serves_one_event_loop_after_the_other() -> None:
    limiter = Limiter(1)

    async def request() -> None:
        async with limiter.turn():
            pass

    for _ in range(2):
        anyio.run(request, backend_options={"loop_factory": SimulatedTime})
