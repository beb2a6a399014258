"""`prefect.yaml` is the table of contents of what runs; here it is held against the code, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate

CHECKOUT = Path(__file__).parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["deployments"]
each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])


@each_deployment
def test_a_deployment_names_a_flow_and_its_parameters_fit_the_form(deployment: dict[str, Any]) -> None:
    flow = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    schema = parameter_schema(flow).model_dump()
    assert validate(deployment.get("parameters", {}), schema) == []


@each_deployment
def test_nothing_in_the_parameters_looks_like_a_template(deployment: dict[str, Any]) -> None:
    """`prefect deploy` runs templating of its own over them and deletes what it does not know, with a mere warning."""
    assert "{{" not in yaml.safe_dump(deployment.get("parameters", {}))


@each_deployment
def test_a_person_can_read_what_it_does_and_it_starts_nothing_by_itself(deployment: dict[str, Any]) -> None:
    assert len(deployment["description"]) > 40
    assert all(schedule["active"] is False and schedule["slug"] for schedule in deployment.get("schedules", ()))
    assert all(trigger["enabled"] is False for trigger in deployment.get("triggers", ()))


def test_the_files_that_deployments_name_exist() -> None:
    chains = [deployment["parameters"]["chain"]["file"] for deployment in DEPLOYMENTS if "chain" in deployment["tags"]]
    assert chains and all((CHECKOUT / file).is_file() for file in chains)


def test_the_form_of_run_chain_has_titles_descriptions_and_defaults() -> None:
    flow = load_flow_from_entrypoint("flows.run_chain.run_chain", use_placeholder_flow=False)
    schema = parameter_schema(flow).model_dump()
    fields = schema["definitions"]["RunChain"]["properties"]
    assert [name for name, field in fields.items() if not (field.get("title") and field.get("description"))] == []
    assert schema["definitions"]["RunChain"]["required"] == ["file"]
    assert all(schema["properties"][name]["description"] for name in ("credentials", "webhook"))
