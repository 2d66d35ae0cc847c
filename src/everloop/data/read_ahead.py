"""Work that mostly waits, such as reading from a bucket, done a little ahead of who wants it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def ahead(function: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[tuple[A, B]]:
    """Each item with what the function makes of it, in order; at most `threads` are ahead.

    With one thread nothing is done ahead. What the function raises is raised when it is its turn.
    """
    if threads <= 1:
        for item in items:
            yield item, function(item)
        return
    waiting: deque[tuple[A, Future[B]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(function, item)))
                if len(waiting) >= threads:
                    first, found = waiting.popleft()
                    yield first, found.result()
            while waiting:
                first, found = waiting.popleft()
                yield first, found.result()
        finally:
            for _, found in waiting:
                found.cancel()
