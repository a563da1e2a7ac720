"""What can be said about a cluster without starting one."""

import gc

from search.cluster import _no_garbage


def test_garbage_is_collected_before_a_shutdown_and_not_in_the_middle_of_it() -> None:
    class Handle:
        def __init__(self) -> None:
            self.itself = self  # a cycle, as Tune leaves them

        def __del__(self) -> None:
            gone.append(gc.isenabled())

    gone: list[bool] = []
    Handle()

    with _no_garbage():
        assert gone == [True]
        assert not gc.isenabled()

    assert gc.isenabled()
