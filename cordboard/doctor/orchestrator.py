"""The Prefect server: who may use it, what it forgets, and whether its secrets are safe on its disk."""

from __future__ import annotations

from urllib.parse import urlsplit

from cordboard.doctor.asking import Server, ask, client_environment
from cordboard.doctor.model import Check, Surroundings, error, ok, skipped, warning

HEARTBEAT_SECONDS = 30
CLOUD = ".prefect.cloud"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SIGN_IN = (
    "Set PREFECT_SERVER_API_AUTH_STRING=user:password for the server and PREFECT_API_AUTH_STRING for its clients."
)


async def probe(place: Surroundings) -> list[Check]:
    """Everything about the server that `PREFECT_API_URL` names."""
    if (urlsplit(place.environ.get("PREFECT_API_URL", "")).hostname or "").endswith(CLOUD):
        return [skipped("prefect", "Prefect Cloud looks after its server itself")]
    server = await ask(place)
    if server is None:
        return [skipped("prefect", "PREFECT_API_URL is not set: runs by hand have a server of their own, on loopback")]
    if server.trouble and not place.environ.get("PREFECT_API_URL"):
        return [skipped("prefect", f"the server of `make up` does not run: {server.url}: {server.trouble}")]
    if server.trouble:
        mend = "Start it (`make up`, or `prefect server start`), or correct PREFECT_API_URL."
        return [error("prefect", f"{server.url}: {server.trouble}", mend)]
    return [
        ok("prefect", f"{server.url} answers"),
        judge_sign_in(server),
        judge_address(server),
        judge_cors(server),
        judge_csrf(server),
        judge_key(server, place),
        judge_leases(server),
        judge_heartbeat(client_environment(place).get("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", ""), server),
        judge_results(client_environment(place).get("PREFECT_RESULTS_DEFAULT_SERIALIZER", ""), server),
        judge_workers(server, place.settings.ledger),
    ]


def judge_sign_in(server: Server) -> Check:
    """Whether it asks who calls, and whether we can answer."""
    if not server.asks_who:
        message = "whoever reaches the API can run code on the workers and read every block: it asks for no password"
        return error("prefect sign-in", message, _SIGN_IN)
    if not server.lets_in:
        mend = "Set PREFECT_API_AUTH_STRING to the server's PREFECT_SERVER_API_AUTH_STRING."
        return error("prefect sign-in", "it refuses our user and password, or we have none", mend)
    return ok("prefect sign-in", "it asks for a password, and takes ours")


def judge_address(server: Server) -> Check:
    """Whether others can reach it, and read what passes by."""
    parts = urlsplit(server.url)
    if server.answers_at:
        mend = "Start it with PREFECT_SERVER_API_HOST=127.0.0.1 (no --host), and put a proxy with TLS before it."
        message = "it listens on every address of this machine, without TLS"
        return (warning if server.asks_who else error)("prefect address", message, mend)
    if parts.hostname not in _LOOPBACK and parts.scheme != "https":
        mend = "Put a proxy with TLS before it, and use https:// in PREFECT_API_URL."
        return error("prefect address", "password and blocks cross the network in clear", mend)
    return ok("prefect address", "on loopback only" if parts.hostname in _LOOPBACK else "over TLS")


def judge_cors(server: Server) -> Check:
    """Whether pages of others may talk to it from a person's browser."""
    if not server.cors:
        return ok("prefect cors", "pages of other origins may not call it")
    mend = "Set PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS to the exact address of its UI, such as http://127.0.0.1:4200."
    return error("prefect cors", f"a page of any origin may call it (it allows {server.cors})", mend)


def judge_csrf(server: Server) -> Check:
    """Whether requests that another page forges are told from real ones."""
    if server.asks_who and not server.lets_in:
        return skipped("prefect csrf", "we may not ask: it refuses us")
    if server.csrf:
        return ok("prefect csrf", "forged requests are refused")
    mend = "Set PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED=true for the server."
    return warning("prefect csrf", "a page in a person's browser can forge requests to it", mend)


def judge_key(server: Server, place: Surroundings) -> Check:
    """Whether the key of its blocks is kept apart from them."""
    mend = "Set PREFECT_SERVER_ENCRYPTION_KEY, kept apart from the database, start again, and save the blocks anew."
    if server.own_key:
        message = "its database holds the key of its own blocks: a copy of the file is a copy of every secret"
        return error("prefect encryption", message, mend)
    if place.environ.get("PREFECT_SERVER_ENCRYPTION_KEY") or (place.home / "prefect.key").exists():
        return ok("prefect encryption", "the key of its blocks comes from outside its database")
    if server.own_key is None:
        return skipped("prefect encryption", "the server's database cannot be seen from here; ask who runs it")
    return warning("prefect encryption", "the first block that is saved makes a key in the same database", mend)


def judge_leases(server: Server) -> Check:
    """Whether places in concurrency limits come free after it was started again."""
    storage = server.setting("server", "concurrency", "lease_storage")
    if storage is None:
        return skipped("prefect leases", "the server does not tell its settings")
    if not str(storage).endswith(".memory"):
        return ok("prefect leases", f"kept in {storage}")
    mend = "Set PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem."
    return warning("prefect leases", "kept in memory: after a restart, places of dead runs stay taken", mend)


def judge_heartbeat(stated: str, server: Server) -> Check:
    """Whether a dead run is seen soon; what counts is the worker's setting, and else what the server has."""
    seconds = stated or server.setting("flows", "heartbeat_frequency")
    if seconds is None or not str(seconds).isdigit():
        return skipped("prefect heartbeat", "neither environment nor server tell how often runs show that they live")
    if int(seconds) <= HEARTBEAT_SECONDS:
        return ok("prefect heartbeat", f"every {seconds} s")
    mend = f"Set PREFECT_FLOWS_HEARTBEAT_FREQUENCY={HEARTBEAT_SECONDS} for workers and server."
    return warning("prefect heartbeat", f"every {seconds} s: a dead run is seen only after minutes", mend)


def judge_results(stated: str, server: Server) -> Check:
    """Whether a result that somebody wrote can run code."""
    serializer = stated or server.setting("results", "default_serializer")
    if serializer is None:
        return skipped("prefect results", "the server does not tell its settings")
    if "pickle" not in str(serializer):
        return ok("prefect results", f"stored as {serializer}")
    mend = "Set PREFECT_RESULTS_DEFAULT_SERIALIZER=json for workers and server."
    return warning("prefect results", "stored as pickles: who can write there can run code on the workers", mend)


def judge_workers(server: Server, ledger: str) -> Check:
    """Whether several workers share databases that are made for one machine."""
    if not server.lets_in:
        return skipped("prefect workers", "the server does not tell its workers")
    count = len(server.workers)
    local = [
        name
        for name, is_so in (("the ledger", ledger.startswith("sqlite")), ("Prefect", server.own_key is not None))
        if is_so
    ]
    if count > 1 and local:
        mend = "Set CORDBOARD_LEDGER_URL and PREFECT_SERVER_DATABASE_CONNECTION_URL to PostgreSQL."
        return warning(
            "prefect workers", f"{count} workers are online, and SQLite is under {' and '.join(local)}", mend
        )
    if not count:
        mend = "Start one: `prefect worker start --pool cordboard`."
        return warning("prefect workers", "no worker is online: deployments are not run", mend)
    return ok("prefect workers", f"{count} online")
