"""Parameters of a run: checked against what the chain declares, defaults filled in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cordboard.chains.model import Chain, Param
from cordboard.chains.schema import check_output, type_of
from cordboard.errors import InvalidDocument, InvalidJson
from cordboard.findings import Finding, did_you_mean, near
from cordboard.jsontext import parse_json
from cordboard.redaction import SHORTEST_SECRET

SECRET_VARIABLE = "CORDBOARD_SECRET_"  # noqa: S105  the prefix of a variable's name


def bind_params(chain: Chain, given: Mapping[str, Any], secrets: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The value of every declared parameter; one that is not given and has no default is null.

    Args:
        chain: declares the parameters.
        given: values by name. Types are checked, never converted: the text `"5"` is not a number.
        secrets: values of those declared secret. They are taken from nowhere else, because the parameters of a run
            are stored and shown in clear.

    Raises:
        InvalidDocument: a name is not declared, a required one is missing, or a type is wrong; all faults at once.
            Values are not repeated in the findings.
    """
    hidden = secrets or {}
    faults = (*_unknown(chain, {**given, **hidden}), *_open_secrets(chain, given), *_unfit(chain, {**given, **hidden}))
    if faults:
        raise InvalidDocument(faults)
    return {name: {**given, **hidden}.get(name, param.default) for name, param in chain.params.items()}


def secrets_from_env(chain: Chain, environ: Mapping[str, str]) -> dict[str, str]:
    """Values of the chain's secret parameters: `pin` from `CORDBOARD_SECRET_PIN`; those not set are left out."""
    variables = {name: f"{SECRET_VARIABLE}{name.upper()}" for name, param in chain.params.items() if param.secret}
    return {name: environ[variable] for name, variable in variables.items() if environ.get(variable)}


def without_secrets(chain: Chain, params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The parameters with a name in place of each secret, or None where there is none."""
    secret = {name for name, param in chain.params.items() if param.secret}
    if not secret:
        return None
    return {name: f"\u2022secret:{name}\u2022" if name in secret else value for name, value in params.items()}


def read_params(chain: Chain, pairs: Iterable[str]) -> dict[str, Any]:
    """Values from `NAME=VALUE` texts of a command line, typed as the chain declares; not yet checked for completeness.

    Text stays as it stands, everything else is read as JSON: `true`, `12`, `["a"]`.

    Raises:
        InvalidDocument: a text without `=`, or a value that is not JSON of the declared type.
    """
    given: dict[str, Any] = {}
    faults: list[Finding] = []
    for pair in pairs:
        name, equals, text = pair.partition("=")
        try:
            given[name] = _read(chain.params.get(name), text)
        except InvalidJson:
            faults.append(_fault(chain, name, f"must be {chain.params[name].type}, written as JSON"))
        if not equals:
            faults.append(_fault(chain, name, "must be given as NAME=VALUE"))
    if faults:
        raise InvalidDocument(tuple(faults))
    return given


def _read(param: Param | None, text: str) -> Any:
    return text if param is None or param.type == "string" else parse_json(text)


def _unknown(chain: Chain, given: Mapping[str, Any]) -> Iterator[Finding]:
    for name in given:
        if name not in chain.params:
            hint = did_you_mean(near(name, chain.params)) or f"The chain declares: {', '.join(chain.params) or 'none'}."
            yield _fault(chain, name, "is not a parameter of this chain", hint)


def _open_secrets(chain: Chain, given: Mapping[str, Any]) -> Iterator[Finding]:
    for name in given:
        if (param := chain.params.get(name)) and param.secret:
            hint = f"Set {SECRET_VARIABLE}{name.upper()} where the run happens, or name a Prefect Secret block for it."
            yield _fault(chain, name, "is secret, and a run's parameters are stored in clear", hint)


def _unfit(chain: Chain, given: Mapping[str, Any]) -> Iterator[Finding]:
    for name, param in chain.params.items():
        if name not in given:
            if param.required:
                yield _fault(chain, name, "is required and was not given")
        elif check_output({"type": param.type}, given[name]):
            yield _fault(chain, name, f"must be {param.type}, and it is {type_of(given[name])}")
        elif param.secret and len(given[name]) < SHORTEST_SECRET:
            yield _fault(chain, name, f"must have {SHORTEST_SECRET} characters or more: shorter ones cannot be masked")


def _fault(chain: Chain, name: str, message: str, hint: str = "") -> Finding:
    return Finding("params/value", message, f"params.{name}", chain.file, hint=hint)
