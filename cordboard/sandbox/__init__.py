"""A local vendor: one ASGI app that behaves like CXone and Genesys Cloud, with faults as data and a truth for tests."""

from cordboard.sandbox.app import Sandbox
from cordboard.sandbox.channel import ConnectionCut
from cordboard.sandbox.debug import DebugEngine
from cordboard.sandbox.definition import Definition, default_definition, load_definition
from cordboard.sandbox.faults import Faults, load_faults
from cordboard.sandbox.server import RunningSandbox, running_sandbox, serving
from cordboard.sandbox.stored_flows import StoredFlows
from cordboard.sandbox.truth import Entry, Truth

__all__ = [
    "ConnectionCut",
    "DebugEngine",
    "Definition",
    "Entry",
    "Faults",
    "RunningSandbox",
    "Sandbox",
    "StoredFlows",
    "Truth",
    "default_definition",
    "load_definition",
    "load_faults",
    "running_sandbox",
    "serving",
]
