"""The demo's restore: planned, approved and carried out through the engine's API."""

import asyncio
from pathlib import Path

from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken, Trust
from backup_api.exceptions import BackupApiError
from backup_api.extensions.restores import PlanState, RestoreOptions, RestorePlan, RestoreRule
from backup_api.recipes import restoring
from backup_api.recipes.exceptions import RecipeError
from backup_api.recipes.waiting import Waiting
from backup_api.restores import RestoreGroup, RestoreStatus
from programs import DemoError

GROUPS = (RestoreGroup.DEPLOYMENT_CONFIG, RestoreGroup.USERS_CONFIG)
PATIENCE = Waiting(limit_s=60.0, first_s=0.2, longest_s=1.0)


def restore_namespace(url: str, data_dir: Path, backup_id: int, namespace: str) -> None:
    """Restore one namespace of a backup, printing what is asked and answered; raises DemoError."""
    trust = Trust((data_dir / "tls" / "ca.crt").read_text())
    token = SecToken((data_dir / "token").read_text().strip())
    try:
        asyncio.run(_restore(ClientOptions(url, token, trust), backup_id, namespace))
    except (BackupApiError, RecipeError) as trouble:
        raise DemoError(str(trouble)) from trouble


async def _restore(options: ClientOptions, backup_id: int, namespace: str) -> None:
    async with BackupApiClient(options) as client:
        wish = restoring.RestoreWish(backup_id, GROUPS)
        restore = await restoring.prepare(client, wish)
        print(f"POST /backup_and_restore/restores  ->  {restore.id}, {restore.status}")
        wanted = RestoreOptions(include=(RestoreRule(namespace=namespace),))
        await client.set_restore_options(restore.id, wanted)
        plan = await _plan(client, restore.id)
        told = {name: count for name, count in plan.counts.model_dump().items() if count}
        print(f"POST …/restores/{restore.id}/plan  ->  {told}, nothing changed yet")
        approved = wanted.model_copy(update={"approved_plan": plan.digest})
        await client.set_restore_options(restore.id, approved)
        print(f"PUT …/restores/{restore.id}/options  ->  approved {plan.digest}")
        await restoring.launch(client, restore.id, PATIENCE)
        done = await restoring.follow(client, restore.id, PATIENCE)
        progress = await client.get_restore_progress(restore.id)
        print(
            f"POST …/restores/{restore.id}  ->  {done.status}:"
            f" {progress.counts.create} created, {progress.failed} failed"
        )
        if done.status is not RestoreStatus.SUCCESS:
            raise DemoError(f"restore {restore.id}: {progress.reason}: {progress.message}")


async def _plan(client: BackupApiClient, restore_id: int) -> RestorePlan:
    await client.start_plan(restore_id)

    async def look() -> RestorePlan | None:
        plan = await client.get_plan(restore_id)
        return plan if plan.state is not PlanState.COMPUTING else None

    plan = await PATIENCE.until(f"the plan of restore {restore_id}", look)
    if plan.state is not PlanState.READY:
        raise DemoError(f"restore {restore_id}: {plan.reason}: {plan.message}")
    return plan
