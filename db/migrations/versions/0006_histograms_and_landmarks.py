"""Histograms and landmarks of a run"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "histogram",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("region", sa.String(40), nullable=False),
        sa.Column("side", sa.String(8), nullable=False),
        sa.Column("extent", sa.String(40), nullable=False),
        sa.Column("lowest_hu", sa.Integer(), nullable=False),
        sa.Column("voxels", sa.LargeBinary(), nullable=False),
        sa.Column("voxel_volume_cm3", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_histogram_run_id_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_histogram")),
        sa.UniqueConstraint("run_id", "region", "side", "extent", name=op.f("uq_histogram_run_id_region_side_extent")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("landmarks", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_column("landmarks")
    op.drop_table("histogram")
