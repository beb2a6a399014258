"""The files of a cluster for Compose and Kubernetes, and the image: held against the code and against each other."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from cordboard.settings import Settings
from deployments.cluster.register import PROJECT
from deployments.cluster.write_secrets import main, write_secrets

FOLDER = PROJECT / "deployments/cluster"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == COMPOSE["x-ours"]["image"]}
MANIFEST: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
WORKLOADS = {each["metadata"]["name"]: each for each in MANIFEST if each["kind"] in {"Deployment", "Job"}}
SECRET = re.compile(r"PASSWORD|SECRET|AUTH_STRING|_KEY$|TOKEN")
NOT_OURS = {"POSTGRES_PASSWORD_FILE": "/run/secrets/PGPASSWORD"}  # names a file, as the image of PostgreSQL wants it


def pod(name: str) -> dict[str, Any]:
    return WORKLOADS[name]["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def known_variables() -> set[str]:
    """Every variable that Prefect, its Redis integration, Cordboard or the drivers read."""
    from prefect.settings.legacy import _get_valid_setting_names
    from prefect.settings.models.root import Settings as PrefectSettings
    from prefect_redis.client import RedisMessagingSettings

    names = _get_valid_setting_names(PrefectSettings) | _get_valid_setting_names(RedisMessagingSettings)
    ours = {f"CORDBOARD_{each.name.upper()}" for each in fields(Settings)}
    return names | ours | {"DO_NOT_TRACK", "PGPASSWORD", "PREFECT_SERVER_ENCRYPTION_KEY"}


# --- what both of them say --------------------------------------------------------------------------------------------


def test_every_variable_is_one_that_something_reads() -> None:
    """A setting that is spelt wrong is ignored without a word, and its default counts."""
    stated = {name for section in ("x-server", "x-client") for name in COMPOSE[section]}
    stated |= {name for service in OURS.values() for name in (*service["environment"], *service["secrets"])}
    stated |= {each["name"] for name in WORKLOADS if name != "balancer" for each in pod(name)["containers"][0]["env"]}
    assert stated - known_variables() == set()


def test_servers_and_clients_are_told_the_same_by_both() -> None:
    told = {each["metadata"]["name"]: each["data"] for each in MANIFEST if each["kind"] == "ConfigMap"}
    for section, name in (("x-server", "server"), ("x-client", "client")):
        stated = COMPOSE[section]
        assert told[name].keys() == stated.keys()
        assert {key: told[name][key] for key in stated if "$" not in stated[key]} == {
            key: value for key, value in stated.items() if "$" not in value
        }


def test_prefect_reads_what_the_servers_are_told_as_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings.models.root import Settings as PrefectSettings

    for name, value in {**COMPOSE["x-server"], **COMPOSE["x-client"]}.items():
        monkeypatch.setenv(name, value)
    read = PrefectSettings()
    assert not read.server.database.migrate_on_start
    assert read.server.api.csrf_protection_enabled and not read.server.analytics_enabled
    assert read.server.services.task_run_recorder.batch_size == 50
    assert (read.flows.heartbeat_frequency, read.client.max_retries) == (30, 60)
    assert read.client.retry_extra_codes == {500, 504}
    for module in (
        *(read.server.events.messaging_broker, read.server.events.messaging_cache, read.server.events.causal_ordering),
        read.server.concurrency.lease_storage,
    ):
        assert importlib.util.find_spec(module), module


def commands() -> Iterator[Any]:
    for name, service in OURS.items():
        yield pytest.param(service["command"], id=f"compose-{name}")
    for name in WORKLOADS:
        if name != "balancer":
            yield pytest.param(pod(name)["containers"][0]["args"], id=f"kubernetes-{name}")


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_exists_with_its_options(command: list[str]) -> None:
    if command[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(command[2])
        return
    from prefect.cli._app import _app

    assert command[0] == "prefect"
    _app.parse_args(command[1:], exit_on_error=False, print_error=False)


def test_both_run_the_same_commands() -> None:
    runs = {name: pod(name)["containers"][0]["args"] for name in WORKLOADS if name != "balancer"}
    assert runs == {name: service["command"] for name, service in OURS.items()}


def test_no_secret_stands_in_a_file_of_ours() -> None:
    variables = [
        (key, str(value)) for service in SERVICES.values() for key, value in service.get("environment", {}).items()
    ]
    variables += [(key, str(value)) for each in MANIFEST for key, value in each.get("data", {}).items()]
    assert {(key, value) for key, value in variables if SECRET.search(key)} - set(NOT_OURS.items()) == set()
    assert [key for key, value in variables if "://" in value and urlsplit(value).password] == []


def test_every_secret_is_written_declared_and_used(tmp_path: Path) -> None:
    written = set(write_secrets(tmp_path / "secrets"))
    assert set(COMPOSE["secrets"]) == written
    assert {name for service in SERVICES.values() for name in service.get("secrets", ())} == written
    (made,) = KUSTOMIZATION["secretGenerator"]
    assert {file.removeprefix("secrets/") for file in made["files"]} == written - {"redis.conf"}  # Redis is yours there
    used = {
        each["valueFrom"]["secretKeyRef"]["key"]
        for name in WORKLOADS
        for each in pod(name)["containers"][0]["env"]
        if "secretKeyRef" in each.get("valueFrom", {})
    }
    assert used == written - {"redis.conf"}


# --- Compose ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_what_runs_of_ours_has_no_rights_and_writes_nowhere_else(name: str) -> None:
    service = OURS[name]
    assert service["user"] == "10001:10001" and service["read_only"] and service["cap_drop"] == ["ALL"]
    writable = [each["target"] for each in service.get("volumes", ()) if not each.get("read_only")]
    assert set(writable) <= {"/srv/home"}


def test_ports_are_open_to_this_machine_only_and_lead_to_who_listens_there() -> None:
    listens = {"balancer": "4200", "receiver": SERVICES["receiver"]["command"][-1]}
    opened = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert opened.keys() == listens.keys()
    for name, (port,) in opened.items():
        assert port.startswith("127.0.0.1:") and port.endswith(f":{listens[name]}")


def test_every_address_leads_to_a_service_and_what_one_waits_for_has_a_health() -> None:
    for variable, url in {**COMPOSE["x-server"], **COMPOSE["x-client"]}.items():
        if "://" in url and "$" not in url:
            assert urlsplit(url).hostname in SERVICES, variable
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]


@pytest.mark.parametrize("name", [name for name in OURS if "healthcheck" in OURS[name]])
def test_a_health_check_asks_the_port_on_which_its_service_listens(name: str) -> None:
    command, question = OURS[name]["command"], OURS[name]["healthcheck"]["test"][-1]
    compile(question, name, "exec")
    listens = command[command.index("--port") + 1] if "--port" in command else "8080"  # of a worker's own server
    assert f":{listens}/" in question


# --- Kubernetes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_has_no_rights_and_says_what_it_needs(name: str) -> None:
    spec = pod(name)
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    closed = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert container["securityContext"] == closed
    assert container["resources"]["requests"].keys() == {"cpu", "memory"} and container["resources"]["limits"]["memory"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    ports = {each["containerPort"] for each in container.get("ports", ())}
    asked = {probe["httpGet"]["port"] for key, probe in container.items() if key.endswith("Probe")}
    assert asked <= ports


def test_selectors_meet_pods_and_volumes_their_claims() -> None:
    labels = {
        name: each["spec"]["template"]["metadata"]["labels"]
        for name, each in WORKLOADS.items()
        if each["kind"] == "Deployment"
    }
    for name, ours in labels.items():
        assert WORKLOADS[name]["spec"]["selector"]["matchLabels"] == ours
    for each in MANIFEST:
        if each["kind"] in {"Service", "PodDisruptionBudget"}:
            selector = each["spec"]["selector"]
            assert selector.get("matchLabels", selector) in labels.values()
    named = {"PersistentVolumeClaim": {"home"}, "ConfigMap": {"server", "client", "balancer"}}
    made = {each["name"] for each in KUSTOMIZATION["configMapGenerator"]}
    for kind, names in named.items():
        assert {each["metadata"]["name"] for each in MANIFEST if each["kind"] == kind} | (made & names) == names


def test_what_there_are_several_of_is_never_drained_as_a_whole() -> None:
    guarded = {each["metadata"]["name"] for each in MANIFEST if each["kind"] == "PodDisruptionBudget"}
    assert guarded == {name for name, each in WORKLOADS.items() if each["spec"].get("replicas", 1) > 1}


# --- the image, and what starts in it ---------------------------------------------------------------------------------


def test_the_image_is_made_of_what_there_is_and_runs_as_the_files_say() -> None:
    text = (FOLDER / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"(?m)^COPY (?!--)(.+) \S+$", text) for word in line.split()]
    assert copied and [name for name in copied if not (PROJECT / name).exists()] == []
    seen = {line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) <= seen
    assert "USER 10001:10001" in text and "--require-hashes" in text
    (entry,) = re.findall(r'ENTRYPOINT \["/srv/cordboard/(.+)"\]', text)
    assert (PROJECT / entry).stat().st_mode & stat.S_IXUSR


def test_each_secret_becomes_the_variable_of_its_name(tmp_path: Path) -> None:
    write_secrets(tmp_path)
    kept = {file.name: file.read_text() for file in tmp_path.iterdir()}
    command = [str(FOLDER / "entrypoint.sh"), "env"]
    environment = {"PATH": os.environ["PATH"], "SECRETS": str(tmp_path)}
    printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    found = dict(line.split("=", 1) for line in printed.splitlines())
    assert {name: found[name] for name in kept if name != "redis.conf"} == {
        name: text for name, text in kept.items() if name != "redis.conf"
    }
    assert "redis.conf" not in found
    nowhere = {**environment, "SECRETS": str(tmp_path / "none")}
    assert subprocess.run([*command[:1], "true"], check=False, env=nowhere).returncode == 0


def test_secrets_agree_with_each_other_and_are_never_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "PGPASSWORD").write_text("of the database that we have")
    (folder / "redis.conf").write_text("requirepass ours")
    assert main([str(folder), "--redis", "cache.example.com:6380"]) == 0
    text = {file.name: file.read_text() for file in folder.iterdir()}
    assert text["PGPASSWORD"] == "of the database that we have"
    assert text["PREFECT_API_AUTH_STRING"] == text["PREFECT_SERVER_API_AUTH_STRING"]
    assert text["PREFECT_SERVER_DOCKET_URL"] == "redis://:ours@cache.example.com:6380/1"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    printed = capsys.readouterr().out
    assert "PREFECT_API_AUTH_STRING" in printed and text["PREFECT_API_AUTH_STRING"] not in printed
    assert main([str(folder)]) == 0
    assert "nothing, all of them are there" in capsys.readouterr().out
    assert {file.name: file.read_text() for file in folder.iterdir()} == text
    assert main([str(folder / "PGPASSWORD")]) == 2


def test_the_balancer_asks_the_servers_and_says_when_to_come_again() -> None:
    text = (FOLDER / "haproxy.cfg").read_text()
    assert "bind :4200" in text and '"${API_HOST}:4200"' in text and "GET /api/health" in text
    assert re.search(r"http-error status 503 .* hdr Retry-After 5$", text, re.MULTILINE)
    assert "http-response set-header Retry-After 5 if { status 500:504 }" in text
    assert SERVICES["balancer"]["environment"] == {"API_HOST": "api"}
    assert shlex.split(" ".join(SERVICES["balancer"]["healthcheck"]["test"]))[-1].endswith(":4200/balancer")
