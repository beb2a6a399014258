"""Completions: what a vendor reports of an instance's end, until it is one record in the ERP.

callback ── verification ── reading ── inbox ─┐
                                              ├── `Ended`, one transaction ── outbox ── ERP
polling, where a vendor does not call back ───┘
"""
