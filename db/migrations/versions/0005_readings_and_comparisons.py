"""Readers' drawings and their comparison with results and with each other"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reading",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scan_id", sa.Integer(), nullable=False),
        sa.Column("reader", sa.String(200), nullable=False),
        sa.Column("session", sa.Integer(), nullable=False),
        sa.Column("source_format", sa.String(16), nullable=False),
        sa.Column("regions", sa.JSON(), nullable=False),
        sa.Column("label_map_path", sa.String(), nullable=False),
        sa.Column("label_map_sha256", sa.String(64), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("created_at", db.types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("session >= 1", name=op.f("ck_reading_session_positive")),
        sa.ForeignKeyConstraint(["scan_id"], ["scan.id"], name=op.f("fk_reading_scan_id_scan"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reading")),
        sa.UniqueConstraint("label_map_path", name=op.f("uq_reading_label_map_path")),
        sa.UniqueConstraint("scan_id", "reader", "session", name=op.f("uq_reading_scan_id_reader_session")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "comparison",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reference_id", sa.Integer(), nullable=False),
        sa.Column("test_run_id", sa.Integer(), nullable=True),
        sa.Column("test_reading_id", sa.Integer(), nullable=True),
        sa.Column("n_slices", sa.Integer(), nullable=False),
        sa.Column("by_slice", sa.Boolean(), nullable=False),
        sa.Column("hu_preset", sa.String(), nullable=False),
        sa.Column("software_version", sa.String(), nullable=False),
        sa.Column("created_at", db.types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("(test_run_id IS NULL) <> (test_reading_id IS NULL)", name=op.f("ck_comparison_one_test")),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["reading.id"], name=op.f("fk_comparison_reference_id_reading"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["test_reading_id"], ["reading.id"], name=op.f("fk_comparison_test_reading_id_reading"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["test_run_id"], ["run.id"], name=op.f("fk_comparison_test_run_id_run"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison")),
        sa.UniqueConstraint("reference_id", "test_reading_id", name=op.f("uq_comparison_reference_id_test_reading_id")),
        sa.UniqueConstraint("reference_id", "test_run_id", name=op.f("uq_comparison_reference_id_test_run_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_comparison_test_reading_id"), "comparison", ["test_reading_id"])
    op.create_index(op.f("ix_comparison_test_run_id"), "comparison", ["test_run_id"])
    op.create_table(
        "compared_value",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("comparison_id", sa.Integer(), nullable=False),
        sa.Column("region", sa.String(40), nullable=False),
        sa.Column("side", sa.String(8), nullable=False),
        sa.Column("metric", sa.String(60), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("reference_value", sa.Double(), nullable=True),
        sa.Column("test_value", sa.Double(), nullable=True),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint("value IS NOT NULL OR reason <> ''", name=op.f("ck_compared_value_value_or_reason")),
        sa.ForeignKeyConstraint(
            ["comparison_id"],
            ["comparison.id"],
            name=op.f("fk_compared_value_comparison_id_comparison"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_compared_value")),
        sa.UniqueConstraint(
            "comparison_id",
            "region",
            "side",
            "metric",
            name=op.f("uq_compared_value_comparison_id_region_side_metric"),
        ),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("compared_value")
    op.drop_table("comparison")
    op.drop_table("reading")
