"""Adds the choice of a seam to loops: candidate, or start and end. Old loops use the best seam."""

from peewee import Database

from database.altering import add_column, dialect_of
from database.ledger.tables import LONGEST

CANDIDATES = 5  # seams in the analysis of a loop, at most
SHORTEST = 0.5  # seconds from start to end
ROUNDING = 0.001  # seconds; 60.1 - 0.1 may be a little more than 60


def up(migrator: object, db: Database) -> None:
    """Add the columns. In old loops, candidate, start and end are NULL: they use the best seam."""
    dialect = dialect_of(db)
    length = f'"end" - start BETWEEN {SHORTEST - ROUNDING} AND duration + {ROUNDING}'
    for definition in (
        f"start {dialect.real} CONSTRAINT loop_start CHECK (start BETWEEN 0 AND {LONGEST})",
        f'"end" {dialect.real} CONSTRAINT loop_end CHECK ("end" <= {LONGEST} AND {length}) '
        'CONSTRAINT loop_end_of_start CHECK (start IS NULL OR "end" IS NOT NULL) '
        'CONSTRAINT loop_start_of_end CHECK ("end" IS NULL OR start IS NOT NULL)',
        f"{dialect.flag('loop', 'exact')} CONSTRAINT loop_exact_seam CHECK (NOT exact OR start IS NOT NULL)",
        f"candidate {dialect.integer} CONSTRAINT loop_candidate CHECK (candidate BETWEEN 1 AND {CANDIDATES}) "
        "CONSTRAINT loop_candidate_alone CHECK (candidate IS NULL OR start IS NULL)",
    ):
        add_column(db, "loop", definition)
