"""Whether a review was given without seeing the earlier ones"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("review", sa.Column("blind", sa.Boolean(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("review", "blind")
