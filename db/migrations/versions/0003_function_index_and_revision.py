"""Strength and gait of a visit, an index the cohort page reads alone, and a counter of changes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

FUNCTION_LIMITS = {"grip_strength_kg": (0, 150), "gait_speed_m_s": (0, 5), "knee_extension_torque_nm": (0, 700)}
COUNTED_TABLES = ("study", "subject", "visit", "scan", "run", "review")
EVENTS = ("insert", "update", "delete")
OLD_INDEX = ["region", "metric", "extent"]
NEW_INDEX = [*OLD_INDEX, "side", "run_id", "value", "status"]


def upgrade() -> None:
    for column, (low, high) in FUNCTION_LIMITS.items():
        check = f"CONSTRAINT ck_visit_{column}_plausible CHECK ({column} BETWEEN {low} AND {high})"
        op.execute(f"ALTER TABLE visit ADD COLUMN {column} DOUBLE {check}")
    op.drop_index(_index(OLD_INDEX), table_name="measurement")
    op.create_index(_index(NEW_INDEX), "measurement", NEW_INDEX)
    op.create_table(
        "data_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_data_revision_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_revision")),
        sqlite_autoincrement=True,
    )
    op.execute("INSERT INTO data_revision (id, number) VALUES (1, 0)")
    for table in COUNTED_TABLES:
        for event in EVENTS:
            op.execute(
                f"CREATE TRIGGER count_{table}_{event} AFTER {event.upper()} ON {table} BEGIN "
                "UPDATE data_revision SET number = number + 1; END"
            )


def downgrade() -> None:
    for table in COUNTED_TABLES:
        for event in EVENTS:
            op.execute(f"DROP TRIGGER IF EXISTS count_{table}_{event}")
    op.drop_table("data_revision")
    op.drop_index(_index(NEW_INDEX), table_name="measurement")
    op.create_index(_index(OLD_INDEX), "measurement", OLD_INDEX)
    for column in FUNCTION_LIMITS:
        op.execute(f"ALTER TABLE visit DROP COLUMN {column}")


def _index(columns: list[str]) -> str:
    return "_".join(["ix_measurement", *columns])
