"""Deploys `prefect.yaml` for one place, the sandbox or a tenant, and leaves switched what people switched.

`prefect deploy --all` makes schedules and triggers anew, each as the file has it: switched off. So the file is written
once more into the home folder, with the place's blocks as parameters and with every switch as it stands on the server,
and that one is deployed. Where a deployment served another place before, its switches go back to the file's: what was
switched on to try the sandbox must not start anything at a tenant. Each place has a work queue of its own, and the
other's is paused: a run that was left waiting there does not begin here.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import yaml

from cordboard.errors import Theirs

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

CHECKOUT = Path(__file__).parent.parent
PLACES = ("sandbox", "tenant")
_PAGE = 100
_TIMING = {"cron": ("cron", "day_or"), "interval": ("interval", "anchor_date"), "rrule": ("rrule",)}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person may have switched in a deployment, as the server has it.

    Attributes:
        place: `sandbox` or `tenant`; empty where something else than this module deployed it.
        is_paused: whether the whole deployment is paused.
        active: by their slugs, which schedules of the file are on.
        own: schedules that somebody added, in the form of the file.
        enabled: by their names, which triggers are on.
    """

    place: str
    is_paused: bool
    active: Mapping[str, bool]
    own: tuple[Mapping[str, Any], ...]
    enabled: Mapping[str, bool]


async def deploy(
    pool: str, place: str, slugs: Collection[str], on: Collection[str], environment: Mapping[str, str]
) -> None:
    """Deploys all of `prefect.yaml`; again changes nothing.

    Args:
        pool: the work pool.
        place: whose blocks the runs use: `sandbox` or `tenant`, the name of the blocks.
        slugs: types of the blocks of that name that there are.
        on: names of triggers that are switched on the first time.
        environment: of `prefect deploy`, with the home folder.

    Raises:
        Theirs: Prefect refuses it.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415  reads the settings at import

    contents = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text(encoding="utf-8"))
    async with get_client() as client:
        await serve(client, pool, place)
        if held := await hold_back(client, place, contents["deployments"]):
            print(f"Switched off, as it is not of the {place}: {', '.join(held)}", flush=True)
        before = await standings(client)
    for each in contents["deployments"]:
        arrange(each, place, blocks_for(each["entrypoint"], slugs), on, before.get(_key(each)))
    file = Path(environment["CORDBOARD_HOME"]) / "prefect.yaml"
    file.write_text(yaml.safe_dump(contents, sort_keys=False, allow_unicode=True), encoding="utf-8")
    await asyncio.to_thread(_prefect_deploy, file, {**os.environ, **environment})


async def serve(client: PrefectClient, pool: str, place: str) -> None:
    """Lets the pool's workers begin runs of one place only; those of the other wait until it is served again."""
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415  as above

    for each in PLACES:
        try:
            queue = await client.read_work_queue_by_name(each, pool)
        except ObjectNotFound:
            queue = await client.create_work_queue(each, work_pool_name=pool)
        await client.update_work_queue(queue.id, is_paused=each != place)


async def hold_back(client: PrefectClient, place: str, ours: Collection[Mapping[str, Any]]) -> list[str]:
    """Switches off what would start runs of the other place, or was made to start them, and is not in the file.

    Those are deployments of an older file, and automations that somebody made in the UI.

    Args:
        client: of the Prefect API.
        place: `sandbox` or `tenant`.
        ours: the deployments of the file.

    Returns:
        Their names.
    """
    found = [each for each in await _all_of(client.read_deployments) if _place_of(each) not in ("", place)]
    known = {_key(each) for each in ours}
    gone = [each for each in found if (str(each.entrypoint), each.name) not in known and not each.paused]
    for deployment in gone:
        await client.pause_deployment(deployment.id)
    of_the_file = {trigger["name"] for each in ours for trigger in each.get("triggers", ()) if "name" in trigger}
    theirs = {each.id for each in found}
    automations = [
        each
        for each in await _all_of(client.read_automations)
        if each.enabled and each.name not in of_the_file
        if any(getattr(action, "deployment_id", None) in theirs for action in each.actions)
    ]
    for automation in automations:
        await client.pause_automation(automation.id)
    return [each.name for each in (*gone, *automations)]


def _prefect_deploy(file: Path, environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    done = subprocess.run(command, check=False, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Theirs(f"prefect deploy ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")


def arrange(
    deployment: dict[str, Any], place: str, blocks: Mapping[str, str], on: Collection[str], before: Standing | None
) -> None:
    """Changes one deployment of the file into what is to be deployed here.

    Args:
        deployment: as the file has it.
        place: tags the deployment and with it its runs, and names their blocks.
        blocks: by parameters of the flow that are not given, the type of the block that each takes.
        on: names of triggers that are switched on where the server does not know better.
        before: what the server has of it; None where it is new.
    """
    given = deployment.get("parameters") or {}
    found = {name: {"$ref": {"block_document_slug": f"{slug}/{place}"}} for name, slug in blocks.items()}
    deployment["parameters"] = {**found, **given}
    deployment["tags"] = [*deployment.get("tags", ()), place]
    deployment["work_pool"] = {**deployment.get("work_pool", {}), "work_queue_name": place}
    kept = before if before and before.place == place else None
    for number, trigger in enumerate(deployment.get("triggers", ()), 1):
        trigger.setdefault("name", f"{deployment['name']}__automation_{number}")  # as Prefect calls it
        default = trigger["name"] in on or trigger.get("enabled", True)
        trigger["enabled"] = kept.enabled.get(trigger["name"], default) if kept else default
    schedules = [
        {"slug": f"schedule-{number}", **schedule} for number, schedule in enumerate(deployment.get("schedules", ()), 1)
    ]  # without a slug it would look like one that somebody added
    deployment["schedules"] = schedules
    if kept is None:
        return
    deployment["paused"] = kept.is_paused
    for schedule in schedules:
        schedule["active"] = kept.active.get(schedule["slug"], schedule.get("active", True))
    deployment["schedules"] = [*schedules, *kept.own]


def blocks_for(entrypoint: str, slugs: Collection[str]) -> dict[str, str]:
    """By the parameters of a flow that take a block: its type, where there is one of these."""
    module, _, name = entrypoint.rpartition(".")
    hints = get_type_hints(getattr(import_module(module), name).fn)
    found = {name: [getattr(kind, "_block_type_slug", "") for kind in get_args(hint)] for name, hint in hints.items()}
    return {name: slug for name, kinds in found.items() for slug in kinds if slug and slug in slugs}


async def standings(client: PrefectClient) -> dict[tuple[str, str], Standing]:
    """What the server has of every deployment, by entry point and name."""
    switches: dict[Any, dict[str, bool]] = {}
    for automation in await _all_of(client.read_automations):
        for action in automation.actions:
            started = getattr(action, "deployment_id", None)
            switches.setdefault(started, {})[automation.name] = automation.enabled
    found = await _all_of(client.read_deployments)
    return {(str(each.entrypoint), each.name): _standing(each, switches.get(each.id, {})) for each in found}


async def _all_of(read: Callable[..., Awaitable[list[Any]]]) -> list[Any]:
    found: list[Any] = []
    while page := await read(limit=_PAGE, offset=len(found)):
        found += page
    return found


def _standing(deployment: DeploymentResponse, enabled: Mapping[str, bool]) -> Standing:
    schedules = deployment.schedules
    return Standing(
        place=_place_of(deployment),
        is_paused=bool(deployment.paused),
        active={schedule.slug: schedule.active for schedule in schedules if schedule.slug},
        own=tuple(as_in_the_file(schedule) for schedule in schedules if not schedule.slug),
        enabled=enabled,
    )


def _place_of(deployment: DeploymentResponse) -> str:
    return next((each for each in PLACES if each in deployment.tags), "")


def as_in_the_file(schedule: Any) -> dict[str, Any]:
    """A schedule that somebody added in the UI, as `prefect.yaml` would have it."""
    timing = schedule.schedule.model_dump(mode="json")
    names: Iterator[str] = (name for names in _TIMING.values() if names[0] in timing for name in (*names, "timezone"))
    kept = {name: timing[name] for name in names if timing.get(name) is not None}
    return {**kept, "active": schedule.active, "parameters": schedule.parameters or {}}


def _key(deployment: Mapping[str, Any]) -> tuple[str, str]:
    return str(deployment["entrypoint"]), str(deployment["name"])
