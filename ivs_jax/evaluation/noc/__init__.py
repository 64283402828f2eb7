"""NoC: how many clicks of a robot until the mask of an object is good enough."""

from ivs_jax.evaluation.noc.config import NocRule, Outputs
from ivs_jax.evaluation.noc.record import NocReport
from ivs_jax.evaluation.noc.run import run_noc

__all__ = ["NocReport", "NocRule", "Outputs", "run_noc"]
