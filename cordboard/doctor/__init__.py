"""The doctor: looks at everything a run depends on, and says how to mend what is not as it should be.

model     what a check says, and the surroundings it looks at     examination  all probes at once, each bounded
versions  Python and pinned packages                              vendors      credentials, scopes, clock
ledger    opens, writes, disk, modes      checkpoints             endpoints    webhooks out, completions in
asking    what a Prefect API answers      orchestrator            judges those answers; Prefect is not imported
"""
