"""Ledgers, as in the tests of the records, and what a vendor sends."""

from __future__ import annotations

from tests.cordboard.records.conftest import ledger_url, sqlite_url

__all__ = ["ledger_url", "sqlite_url"]
