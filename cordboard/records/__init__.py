"""What was sent and what came of it: the ledger, its audit chain, the outbox and the numbers of a run."""
