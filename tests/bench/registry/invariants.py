"""What holds of the registry whatever was killed and when: nothing is half there.

Each is asked of the tables and the store themselves, and not of the code that writes them.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import orm

from serin_services.registry import errors
from serin_services.registry.artifacts.store import Store
from serin_services.registry.client import Client
from serin_services.registry.core.access import SYSTEM
from serin_services.registry.database.sessions import Database

# The rows that should not be there, each with a sentence.
QUERIES: dict[str, str] = {
    "a deployment has two versions in production": """
        SELECT deployment_id FROM placements WHERE stage = 'PRODUCTION' GROUP BY deployment_id HAVING count(*) > 1
    """,
    "a version's stage is not the target of its last move": """
        SELECT v.id FROM model_registry v JOIN transitions t ON t.version_id = v.id
        WHERE t.at = (SELECT max(at) FROM transitions WHERE version_id = v.id)
        GROUP BY v.id, v.stage HAVING NOT bool_or(t.target = v.stage)
    """,
    "a version, a move or an artifact has no entry in the audit log, or an entry has none of these": """
        SELECT action, entries, things FROM (
            SELECT 'version.register' AS action,
                (SELECT count(*) FROM audit_log WHERE action = 'version.register') AS entries,
                (SELECT count(*) FROM model_registry WHERE created_by = 'ann') AS things
            UNION ALL SELECT 'version.move', (SELECT count(*) FROM audit_log WHERE action = 'version.move'),
                (SELECT count(*) FROM transitions)
            UNION ALL SELECT 'artifact.put', (SELECT count(*) FROM audit_log WHERE action = 'artifact.put'),
                (SELECT count(*) FROM artifacts)
        ) AS counted WHERE entries <> things
    """,
    "the log's head is not its last entry": """
        SELECT h.tenant_id FROM audit_heads h LEFT JOIN audit_log l ON l.tenant_id = h.tenant_id AND l.seq = h.seq
        WHERE l.hash IS DISTINCT FROM h.hash OR h.seq <> (SELECT count(*) FROM audit_log WHERE tenant_id = h.tenant_id)
    """,
    "an hour's sums are not those of its rows": """
        SELECT * FROM (
            SELECT p.version_id, date_trunc('hour', p.at, 'UTC') AS hour, count(*) AS predictions, count(o.id) AS outcomes,
                count(*) FILTER (WHERE p.label IS NOT NULL AND o.label IS NOT NULL) AS judged,
                count(*) FILTER (WHERE p.label = o.label) AS correct
            FROM predictions p LEFT JOIN outcomes o ON o.model_id = p.model_id AND o.id = p.id GROUP BY 1, 2
        ) AS counted FULL JOIN model_performance_logs s ON s.version_id = counted.version_id AND s.hour = counted.hour
        WHERE (s.predictions, s.outcomes, s.judged, s.correct)
            IS DISTINCT FROM (counted.predictions, counted.outcomes, counted.judged, counted.correct)
    """,
    "an hour's labels are not those of its rows": """
        SELECT * FROM (
            SELECT version_id, date_trunc('hour', at, 'UTC') AS hour, label, count(*) AS number
            FROM predictions WHERE label IS NOT NULL GROUP BY 1, 2, 3
        ) AS counted FULL JOIN label_counts s
            ON s.version_id = counted.version_id AND s.hour = counted.hour AND s.label = counted.label
        WHERE s.count IS DISTINCT FROM counted.number
    """,
}


def check(database: Database, store: Store, admin: Client) -> Iterator[str]:
    """Say what does not hold."""
    with database.open(SYSTEM) as session:
        for sentence, query in QUERIES.items():
            found = session.execute(sa.text(query)).all()
            if found:
                yield f"{sentence}: {len(found)} times, such as {found[0]}"
        yield from _check_files(session, store)
    yield from _check_chain(admin)


def _check_files(session: orm.Session, store: Store) -> Iterator[str]:
    """Hold rows and files against each other; a file without a row is only one whose upload was never sent again."""
    rows = {row.key: row for row in session.execute(sa.text("SELECT key, sha256, size FROM artifacts"))}
    there = set(store.keys())
    yield from (f"{key} has a row and is not in the store" for key in rows.keys() - there)
    yield from (f"{key} is in the store and has no row" for key in there - rows.keys())
    for key in rows.keys() & there:
        size = _measure(store, key)
        if size != rows[key].size:
            yield f"{key} has {rows[key].size} bytes by its row, and {size} in the store"


def _measure(store: Store, key: str) -> int:
    """Read a file to its end, where its digest is checked; -1 where that is another."""
    try:
        return sum(map(len, store.open(key)))
    except errors.RegistryError:
        return -1


def _check_chain(admin: Client) -> Iterator[str]:
    verdict = admin.verify_audit()
    if not verdict.ok:
        yield f"the audit log's chain is broken: {verdict}"
