"""Call flows as files: read, check, compare, draw and write back, whichever vendor they are for."""
