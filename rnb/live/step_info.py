"""The steps of a plan as models of their own, as a front end shows them."""

from __future__ import annotations

from rnb.live.asking import StepInfo
from rnb.pipeline.plan import Plan


def steps_of(plan: Plan) -> tuple[StepInfo, ...]:
    return tuple(_info(plan, step) for step in range(plan.num_steps))


def _info(plan: Plan, step: int) -> StepInfo:
    replicas = [one for one in plan.replicas if one.step == step]
    return StepInfo(
        name=f"{plan.step_names[step]}-{step}",
        model=replicas[0].model,
        max_batch_size=max(one.batch_size for one in replicas),
        devices=tuple(str(one.device) for one in replicas),
        is_stateful=plan.step_types[step].stateful,
    )
