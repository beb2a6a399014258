"""How flows are put to work: registration of blocks, one machine brought up, the demo."""
