"""The feed of a training run: batches in order, prepared ahead by threads or processes (grain).

Sample i of a run is a pure function of (seed, i), so a position is one number, a step, and the same
samples come whatever the number of workers and hosts is, and after any restart.
"""

import inspect
import os
import weakref
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

Sampler = Callable[..., Any]  # (rng) or (rng, index=i) -> NamedTuple of arrays: one sample
_MOST_THREADS = 8  # more of them wait for each other (the interpreter's lock)
_AHEAD = 2  # batches
_ENDLESS = 2**40


def feed(
    sampler: Sampler,
    *,
    seed: int,
    batch: int,
    shard: tuple[int, int] = (0, 1),
    workers: int = 0,
    start: int = 0,
) -> "Feed":
    """Opens an endless feed of this host's share of batches.

    Args:
      sampler: `sampler(rng)` gives one sample, a NamedTuple of arrays; one with the keyword `index`
        is also told the number of the sample in the run.
      seed: of the run; sample i has the generator `default_rng((seed, i))`.
      batch: samples of a step over all hosts.
      shard: (number of this host, hosts); the batches of all, joined, are that of one host.
      workers: processes that draw samples; 0 draws in threads of this one, which is best while
        decoding and resampling dominate. The sampler must be picklable for processes.
      start: first step.

    Raises ValueError for a batch that hosts cannot share, or other numbers out of range.
    """
    return Feed(sampler, seed=seed, batch=batch, shard=shard, workers=workers, start=start)


class Feed:
    """An iterator of batches; `set_state` moves it, `close` ends its threads and processes."""

    def __init__(
        self,
        sampler: Sampler,
        *,
        seed: int,
        batch: int,
        shard: tuple[int, int],
        workers: int,
        start: int,
    ) -> None:
        host, hosts = shard
        if not 0 <= host < hosts:
            raise ValueError(f"shard is {shard}, expected (number, hosts) with 0 <= number < hosts")
        if batch < 1 or batch % hosts:
            raise ValueError(f"batch is {batch}, expected a positive multiple of {hosts} hosts")
        if seed < 0 or workers < 0 or start < 0:
            found = f"seed {seed}, workers {workers}, start {start}"
            raise ValueError(f"{found}: expected none below 0")
        self._samples = _Samples(sampler, seed, batch, batch // hosts, host)
        self._workers, self._step = workers, start
        self._open: Any = None

    def __iter__(self) -> "Feed":
        return self

    def __next__(self) -> Any:
        """The next batch of this host: the sampler's NamedTuple with a leading axis."""
        if self._open is None:
            self._open = _batches(self._samples, self._workers, self._step)
            # Also when the program ends or the feed is forgotten: grain's threads outlive them.
            self._end = weakref.finalize(self, self._open.close)
        batch = next(self._open)
        self._step += 1
        return batch

    def get_state(self) -> dict[str, int]:
        """What `set_state` needs, as JSON-able values: the position in the run."""
        return {"seed": self._samples.seed, "batch": self._samples.batch, "step": self._step}

    def set_state(self, state: dict[str, int]) -> None:
        """Goes to where `state` was taken, by this or another number of hosts and workers.

        Raises ValueError if it is of a feed with other samples.
        """
        mine = self.get_state()
        if set(state) != set(mine):
            raise ValueError(f"feed state has {sorted(state)}, expected {sorted(mine)}")
        for name in ("seed", "batch"):
            if state[name] != mine[name]:
                raise ValueError(f"feed state has {name} {state[name]}, this feed {mine[name]}")
        self.close()
        self._step = int(state["step"])

    def close(self) -> None:
        """Stops the work ahead; the next call of `next` starts it again."""
        if self._open is not None:
            self._end()
            self._open = None


class _Samples:
    """A host's samples in order, as a grain source."""

    def __init__(self, sampler: Sampler, seed: int, batch: int, share: int, host: int) -> None:
        self.seed, self.batch, self.share = seed, batch, share
        self._sampler, self._host = sampler, host
        self._indexed = "index" in inspect.signature(sampler).parameters

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, place: int) -> Any:
        step, slot = divmod(int(place), self.share)
        index = step * self.batch + self._host * self.share + slot
        rng = np.random.default_rng((self.seed, index))
        return self._sampler(rng, index=index) if self._indexed else self._sampler(rng)


def _batches(samples: _Samples, workers: int, step: int) -> Any:
    """Grain's iterator over batches from `step` on."""
    try:
        import grain
    except ImportError as error:
        raise ValueError("training needs more: pip install 'ivs_jax[data]'") from error

    ahead = _AHEAD * samples.share
    data = grain.MapDataset.source(samples).slice(slice(step * samples.share, None))
    threads = 2 if workers else min(_MOST_THREADS, os.cpu_count() or 1)
    read = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead)
    drawn = data.to_iter_dataset(read)
    if workers:
        from absl import flags  # grain's processes read flags that only an absl program parses

        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(workers, max(1, ahead // workers))
        drawn = drawn.mp_prefetch(options)
    stacked = drawn.batch(samples.share, batch_fn=_stack)
    return iter(grain.experimental.ThreadPrefetchIterDataset(stacked, prefetch_buffer_size=1))


def _stack(samples: Any) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *samples)
