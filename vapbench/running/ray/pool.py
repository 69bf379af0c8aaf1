"""Pools of Ray actors: each loads its model once, works on items as they come, and is replaced when it is lost.

Nothing here knows of videos or rows. Ray decides where actors live, and asks for nodes where the cluster can grow.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any, Generic, Protocol, TypeVar

from vapbench.core.registry import PLUGIN, load_module
from vapbench.errors import ErrorKind, UsageError, VapbenchError
from vapbench.methods.hardware import Resources
from vapbench.results.rows import Failure
from vapbench.running.threads import StopFlag

Item = TypeVar("Item", contravariant=True)
Result = TypeVar("Result", contravariant=True)

LOSSES_ALLOWED = 2
"""How often an item may lose its worker and be tried again; the next loss is its failure."""
_STARTS_ALLOWED = 3
_DEPTH = 2
"""Items an actor has at once: one is worked on while the next is loaded, or the last one finished."""
_PATIENCE, _STARTING = 20.0, 120.0
"""Seconds until the reader is told that there is no such room at all, or that it takes long to be given."""


class Worker(Protocol):
    """What an actor holds. Ray carries it to its process, where it is set up."""

    def setup(self) -> str:
        """Load what is needed, and say on which device."""

    def load(self, item: Any) -> Any:
        """Prepare an item, while another is worked on."""

    def work(self, item: Any, loaded: Any) -> Any:
        """Work on an item: one at a time."""

    def finish(self, item: Any, made: Any) -> Any:
        """What goes back to the driver; made while another item is worked on."""


class ResultHandler(Protocol[Item, Result]):
    """In the driver: what becomes of a pool's items."""

    def send(self, item: Item) -> Any:
        """What goes to an actor in the item's place; asked for as late as possible."""

    def take(self, item: Item, result: Result, losses: tuple[Failure, ...]) -> None:
        """An item is done, after it lost workers in these ways."""

    def give_up(self, item: Item, losses: tuple[Failure, ...]) -> None:
        """An item lost its worker too often."""


class Pool(Generic[Item, Result]):
    """Actors that do one kind of work, and the items that wait for them."""

    def __init__(
        self,
        name: str,
        worker: Worker,
        demand: Resources,
        most: int,
        handler: ResultHandler[Item, Result],
        eager: bool = True,
    ) -> None:
        """Prepare a pool; nothing starts before :func:`run_pools`.

        Args:
            name: what the actors do, for messages.
            worker: what each of them holds.
            demand: what each asks Ray for.
            most: actors at most.
            handler: takes results.
            eager: start all actors at once; otherwise one, and more while items pile up.
        """
        self.name, self.demand = name, demand
        self.devices: Counter[str] = Counter()
        self._worker, self._most, self._handler, self._eager = worker, most, handler, eager
        self._queue: deque[_Ticket[Item]] = deque()
        self._actors: list[_Actor] = []
        self._bad_starts = 0
        self._stopped = False
        self._waiting_since: float | None = time.monotonic()
        self._packed: Any = None

    def add(self, item: Item) -> None:
        """Let an item wait for an actor; after :meth:`stop` it is left for the next run."""
        if not self._stopped:
            self._queue.append(_Ticket(item))

    @property
    def unfinished(self) -> bool:
        """Whether an item waits or is worked on."""
        return bool(self._queue) or any(actor.tickets for actor in self._actors)

    def advance(self) -> None:
        """Start actors and hand out items, as far as there is need and room."""
        while len(self._actors) < self._wanted():
            self._start()
        while self._queue and (actor := self._free_actor(self._queue[0])):
            ticket = self._queue.popleft()
            actor.tickets[actor.handle.work.remote(self._handler.send(ticket.item))] = ticket

    def stop(self) -> None:
        """Hand out no more; items that actors have not begun are left."""
        if self._stopped:
            return
        self._stopped = True
        self._queue.clear()
        for actor in self._actors:
            actor.handle.stop.remote()

    def close(self) -> None:
        """End the actors."""
        import ray

        for actor in self._actors:
            ray.kill(actor.handle)
        self._actors.clear()

    def expected(self) -> list[Any]:
        """Answers that are on their way."""
        found: list[Any] = []
        for actor in self._actors:
            found += [*actor.tickets, *actor.starting]
        return found

    def take(self, reference: Any) -> None:
        """Take an answer that has come.

        Raises:
            Exception: what the worker raised.
            VapbenchError: actors die while they load, again and again.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        actor = next(actor for actor in self._actors if reference in actor.tickets or reference in actor.starting)
        ticket = actor.tickets.pop(reference, None)
        try:
            answer = ray.get(reference)
        except RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from error
        except RayError as error:
            # Ray has a type for each way to lose an actor (crash, node, memory, environment): none can be asked again.
            self._remove_worker(actor, error)
            if ticket:
                self._lose(ticket, error)
            return
        if ticket is None:
            self._finish_start(actor, reference, answer)
            return
        self._bad_starts = 0
        begun, result = answer
        if begun:
            self._handler.take(ticket.item, result, tuple(ticket.losses))

    def impatience(self) -> str:
        """What to say if Ray has had no room for any actor for a while; empty if it has, or if it was said."""
        import ray

        if self._waiting_since is None or not self._actors:
            return ""
        waited = time.monotonic() - self._waiting_since
        if waited < _PATIENCE:
            return ""
        has = ray.cluster_resources()
        room = has.get("CPU", 0) >= self.demand.cpus and has.get("GPU", 0) >= self.demand.gpus
        if room and waited < _STARTING:
            return ""
        self._waiting_since = None
        listed = ", ".join(f"{has[kind]:g} {kind}" for kind in ("GPU", "CPU") if kind in has)
        return (
            f"Waiting for room: to {self.name}, a worker asks for {self.demand}; Ray has {listed or 'nothing'} in all. "
            "It goes on when a node joins or is free; Ctrl-C stops."
        )

    def _wanted(self) -> int:
        if self._stopped:
            return 0
        if self._eager:
            return min(self._most, len(self._queue) + sum(len(actor.tickets) for actor in self._actors))
        ready = sum(actor.device is not None for actor in self._actors)
        piled_up = ready == len(self._actors) and len(self._queue) > _DEPTH * ready
        return min(self._most, len(self._actors) + piled_up if self._actors else 1)

    def _start(self) -> None:
        import ray

        if self._packed is None:
            self._packed = _packed(self._worker, self.name)
        options = {"num_gpus": self.demand.gpus, "num_cpus": self.demand.cpus, "max_concurrency": _DEPTH + 2}
        worker, plugins = self._packed
        handle = ray.remote(_InActor).options(**options).remote(plugins)
        self._actors.append(_Actor(handle, {handle.placed.remote(): "placed", handle.setup.remote(worker): "setup"}))

    def _finish_start(self, actor: _Actor, reference: Any, answer: Any) -> None:
        self._waiting_since = None
        if actor.starting.pop(reference) == "setup":
            actor.device = str(answer)
            self.devices[actor.device] += 1

    def _remove_worker(self, actor: _Actor, error: Exception) -> None:
        """Forget an actor and lose all it was working on."""
        import ray

        if actor.device is None:
            actor.starting.clear()
            self._bad_starts += 1
            if self._bad_starts >= _STARTS_ALLOWED:
                raise VapbenchError(
                    f"Ray's workers die while they start to {self.name}: {_first_line(error)}", ErrorKind.FAILED
                )
        ray.kill(actor.handle)
        for ticket in actor.tickets.values():
            self._lose(ticket, error)
        actor.tickets.clear()
        self._actors.remove(actor)

    def _lose(self, ticket: _Ticket[Item], error: Exception) -> None:
        if self._stopped:
            return
        ticket.losses.append(Failure("WorkerLost", f"the worker was lost at this case: {_first_line(error)}"))
        if len(ticket.losses) > LOSSES_ALLOWED:
            self._handler.give_up(ticket.item, tuple(ticket.losses))
        else:
            self._queue.appendleft(ticket)

    def _free_actor(self, ticket: _Ticket[Item]) -> _Actor | None:
        # Towards the end an item that waits behind another would rather have an actor of its own.
        depth = _DEPTH if len(self._queue) > len(self._actors) else 1
        # What lost a worker may kill the next one: it goes alone, so that it takes no other item with it.
        room = 1 if ticket.losses else depth
        free = [
            actor
            for actor in self._actors
            if actor.device is not None and len(actor.tickets) < room and not actor.has_suspect
        ]
        return min(free, key=lambda actor: len(actor.tickets), default=None)


def run_pools(pools: Sequence[Pool[Any, Any]], stop: StopFlag, tell: Callable[[str], None]) -> None:
    """Work until no pool has an item left, or until ``stop`` is set and what was begun is done.

    Args:
        pools: a pool's results may add items to those after it.
        stop: set by Ctrl-C, or by whoever has seen enough.
        tell: says what the reader should know.

    Raises:
        Exception: what a worker or a handler of results raised; what was begun elsewhere is finished first.
    """
    import ray

    first: Exception | None = None
    try:
        while any(pool.unfinished for pool in pools):
            for pool in pools:
                pool.stop() if stop else pool.advance()
            _close_upstream(pools)
            owners = {reference: pool for pool in pools for reference in pool.expected()}
            ready, _ = ray.wait(list(owners), timeout=1.0) if owners else ([], [])
            for message in filter(None, (pool.impatience() for pool in pools)):
                tell(message)
            for reference in ready:
                try:
                    owners[reference].take(reference)
                except Exception as error:
                    first = first or error
                    stop.reason = stop.reason or "error"
    finally:
        for pool in pools:
            pool.close()
    if first:
        raise first


def _close_upstream(pools: Sequence[Pool[Any, Any]]) -> None:
    """Give back the devices of pools that will have nothing more to do."""
    for pool in pools:
        if pool.unfinished:
            return
        pool.close()


@dataclass
class _Ticket(Generic[Item]):
    """An item, and how it lost its workers."""

    item: Item
    losses: list[Failure] = field(default_factory=list)


@dataclass(eq=False)
class _Actor:
    """An actor as the driver sees it."""

    handle: Any
    starting: dict[Any, str]
    device: str | None = None
    """None until it is set up."""
    tickets: dict[Any, _Ticket[Any]] = field(default_factory=dict)

    @property
    def has_suspect(self) -> bool:
        """Whether it works on something that lost a worker."""
        return any(ticket.losses for ticket in self.tickets.values())


class _InActor:
    """An actor as it sees itself."""

    def __init__(self, plugins: Sequence[Path]) -> None:
        self._turn, self._stopped = Lock(), Event()
        # Modules given by path have no name that this process could import; Ray unpacks the worker after this.
        for path in plugins:
            load_module(path)

    def placed(self) -> None:
        """Answer as soon as there is a process."""

    def setup(self, worker: Worker) -> str:
        """Set the worker up, and say on which device."""
        self._worker = worker
        return str(worker.setup())

    def work(self, item: Any) -> tuple[bool, Any]:
        """Whether the item was begun, and what came of it."""
        loaded = self._worker.load(item)
        with self._turn:
            if self._stopped.is_set():
                return False, None
            made = self._worker.work(item, loaded)
        return True, self._worker.finish(item, made)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped.set()


def _packed(worker: Worker, name: str) -> tuple[Any, list[Path]]:
    """A worker in Ray's store, and the files that must be imported by path before it can be unpacked."""
    import ray

    plugins = [module for key, module in list(sys.modules.items()) if key.startswith(PLUGIN)]
    try:
        return ray.put(worker), [Path(module.__file__) for module in plugins if module.__file__]
    except Exception as error:
        raise UsageError(
            f"What is needed to {name} cannot be sent to another process ({error}); keep open files, locks and "
            "models out of __init__, where setup(device) can make them, or use --executor local.",
            ErrorKind.CONFLICT,
            "executor",
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = [line for line in lines if "cause" in line.lower() or "exit" in line.lower()]
    return " ".join(dict.fromkeys([*lines[:1], *cause[:1]])) or type(error).__name__
