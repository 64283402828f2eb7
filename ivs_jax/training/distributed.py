"""Several processes, on one or many machines, as one run."""

import os
from collections.abc import Mapping

import jax

# Where a launcher says how many processes it started; JAX knows to find the rest.
LAUNCHERS = {"SLURM_STEP_NODELIST": "SLURM_NTASKS", "OMPI_MCA_orte_hnp_uri": "OMPI_COMM_WORLD_SIZE"}
TPU_HOSTS = "TPU_WORKER_HOSTNAMES"


def start(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> tuple[int, int]:
    """Connects the processes of a run; returns the index of this one and how many there are.

    Call it before anything touches a device. `coordinator` is HOST:PORT of process 0, the same for
    all. Where nothing is given, the processes that Slurm, Open MPI or a TPU pod has started find
    each other, see `launched`, and a process alone is a run of one. CPUs talk through gloo.

    Raises ValueError if only some of the three are given or one is out of range.
    """
    given = {"--coordinator": coordinator, "--num-processes": num_processes}
    given["--process-id"] = process_id
    missing = [name for name, value in given.items() if value is None]
    if coordinator is not None and num_processes is not None and process_id is not None:
        _check(coordinator, num_processes, process_id)
    elif len(missing) < len(given):
        raise ValueError(f"{' and '.join(missing)} missing: give all three or none")
    elif launched(os.environ) < 2:
        return 0, 1
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(coordinator, num_processes, process_id)
    return jax.process_index(), jax.process_count()


def launched(environment: Mapping[str, str]) -> int:
    """How many processes the launcher that set `environment` has started; 1 without a launcher."""
    for mark, count in LAUNCHERS.items():
        if mark in environment:
            return int(environment.get(count, "1"))
    return len(environment.get(TPU_HOSTS, "").split(","))


def _check(coordinator: str, num_processes: int, process_id: int) -> None:
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"--coordinator {coordinator!r}: expected HOST:PORT")
    if num_processes < 1:
        raise ValueError(f"--num-processes {num_processes}: expected 1 or more")
    if not 0 <= process_id < num_processes:
        raise ValueError(
            f"--process-id {process_id}: expected 0 to {num_processes - 1}, one each process"
        )
