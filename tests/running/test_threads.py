from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from vapbench.running.threads import StopFlag, finish_case_on_interrupt, run_in_order


def test_order_is_kept_and_decoding_and_encoding_overlap_the_work() -> None:
    threads: dict[str, set[int]] = {"load": set(), "work": set(), "finish": set()}
    done = {f"{stage}{item}": threading.Event() for stage in threads for item in range(1, 5)}

    def note(stage: str, item: int) -> None:
        threads[stage].add(threading.get_ident())
        done[f"{stage}{item}"].set()

    def load(item: int) -> int:
        note("load", item)
        return item * 10

    def work(item: int, loaded: int) -> int:
        # Ends only once its neighbours' other stages have: they go on beside it.
        assert item == 4 or done[f"load{item + 1}"].wait(60)
        assert item == 1 or done[f"finish{item - 1}"].wait(60)
        note("work", item)
        return loaded + 1

    results: list[tuple[int, int]] = []

    def finish(item: int, result: int) -> None:
        note("finish", item)
        results.append((item, result))

    run_in_order([1, 2, 3, 4], load=load, work=work, finish=finish, stop=StopFlag())
    assert results == [(1, 11), (2, 21), (3, 31), (4, 41)]
    assert len(set.union(*threads.values())) == 3


def test_several_are_loaded_at_once_where_that_is_asked_for_and_order_is_kept() -> None:
    three, begun = threading.Barrier(3), []

    def load(item: int) -> int:
        begun.append(item)
        three.wait(60)  # none is loaded before three are being loaded
        return item * 10

    def work(item: int, loaded: int) -> int:
        assert max(begun) <= item + 3, "no more wait than were asked for"
        return loaded

    results: list[int] = []
    run_in_order(
        range(6), load=load, work=work, finish=lambda _, result: results.append(result), stop=StopFlag(), ahead=3
    )
    assert results == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize("stage", ["load", "work", "finish"])
def test_an_error_ends_the_run_after_finishing_what_was_made(stage: str) -> None:
    finished: list[int] = []

    def maybe(name: str, item: int) -> int:
        if name == stage and item == 2:
            raise OSError(28, "No space left on device")
        return item

    def finish(item: int, _: int) -> None:
        maybe("finish", item)
        finished.append(item)

    with pytest.raises(OSError, match="No space left"):
        run_in_order(
            [0, 1, 2, 3],
            load=lambda item: maybe("load", item),
            work=lambda item, _: maybe("work", item),
            finish=finish,
            stop=StopFlag(),
        )
    assert finished[:2] == [0, 1]


def test_stop_ends_after_the_item_at_hand() -> None:
    stop = StopFlag()
    finished: list[int] = []

    def work(item: int, _: int) -> int:
        if item == 1:
            stop.reason = "enough"
        return item

    run_in_order(range(5), load=lambda item: item, work=work, finish=lambda item, _: finished.append(item), stop=stop)
    assert finished == [0, 1]


def test_the_first_interrupt_waits_and_the_second_does_not() -> None:
    stop, said = StopFlag(), []
    with finish_case_on_interrupt(stop, said.append):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        assert stop.reason == "interrupted"
        assert "again" in said[0]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
