"""First schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", db.types.UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("name", name=op.f("uq_study_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "subject",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("sex", sa.String(length=8), nullable=False),
        sa.Column("birth_year", sa.Integer(), nullable=True),
        sa.Column("created_at", db.types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("sex IN ('female', 'male', 'other', 'unknown')", name=op.f("ck_subject_sex_allowed")),
        sa.CheckConstraint("birth_year BETWEEN 1880 AND 2200", name=op.f("ck_subject_birth_year_plausible")),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_subject_study_id_study"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subject")),
        sa.UniqueConstraint("study_id", "code", name=op.f("uq_subject_study_id_code")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "visit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=100), nullable=False),
        sa.Column("visit_date", sa.Date(), nullable=True),
        sa.Column("age_years", sa.Double(), nullable=True),
        sa.Column("height_cm", sa.Double(), nullable=True),
        sa.Column("weight_kg", sa.Double(), nullable=True),
        sa.CheckConstraint("age_years BETWEEN 0 AND 130", name=op.f("ck_visit_age_years_plausible")),
        sa.CheckConstraint("height_cm BETWEEN 20 AND 280", name=op.f("ck_visit_height_cm_plausible")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_visit_number_positive")),
        sa.CheckConstraint("weight_kg BETWEEN 1 AND 700", name=op.f("ck_visit_weight_kg_plausible")),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_visit_subject_id_subject"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit")),
        sa.UniqueConstraint("subject_id", "number", name=op.f("uq_visit_subject_id_number")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "scan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("visit_id", sa.Integer(), nullable=False),
        sa.Column("digest_sha256", sa.String(length=64), nullable=False),
        sa.Column("storage_path", sa.String(), nullable=False),
        sa.Column("source_name", sa.String(), nullable=False),
        sa.Column("source_format", sa.String(length=16), nullable=False),
        sa.Column("series_uid", sa.String(length=80), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("acquisition_date", sa.Date(), nullable=True),
        sa.Column("manufacturer", sa.String(), nullable=True),
        sa.Column("scanner_model", sa.String(), nullable=True),
        sa.Column("tube_voltage_kvp", sa.Double(), nullable=True),
        sa.Column("convolution_kernel", sa.String(), nullable=True),
        sa.Column("contrast_agent", sa.String(), nullable=True),
        sa.Column("patient_position", sa.String(), nullable=True),
        sa.Column("slice_thickness_mm", sa.Double(), nullable=True),
        sa.Column("n_files", sa.Integer(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("n_slices", sa.Integer(), nullable=False),
        sa.Column("n_rows", sa.Integer(), nullable=False),
        sa.Column("n_columns", sa.Integer(), nullable=False),
        sa.Column("slice_spacing_mm", sa.Double(), nullable=False),
        sa.Column("row_spacing_mm", sa.Double(), nullable=False),
        sa.Column("column_spacing_mm", sa.Double(), nullable=False),
        sa.Column("affine", sa.JSON(), nullable=False),
        sa.Column("created_at", db.types.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_scan_study_id_study"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_scan_visit_id_visit"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scan")),
        sa.UniqueConstraint("storage_path", name=op.f("uq_scan_storage_path")),
        sa.UniqueConstraint("study_id", "digest_sha256", name=op.f("uq_scan_study_id_digest_sha256")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("scan", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_scan_visit_id"), ["visit_id"], unique=False)

    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scan_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=40), nullable=False),
        sa.Column("device", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=80), nullable=True),
        sa.Column("lease_until", db.types.UTCDateTime(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("stage", sa.String(length=60), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("created_at", db.types.UTCDateTime(), nullable=False),
        sa.Column("started_at", db.types.UTCDateTime(), nullable=True),
        sa.Column("finished_at", db.types.UTCDateTime(), nullable=True),
        sa.CheckConstraint("(status = 'running') = (owner IS NOT NULL)", name=op.f("ck_job_running_has_owner")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_job_status_allowed")
        ),
        sa.ForeignKeyConstraint(["scan_id"], ["scan.id"], name=op.f("fk_job_scan_id_scan"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_status_id"), ["status", "id"], unique=False)
        batch_op.create_index(
            "uq_job_live",
            ["scan_id", "kind", "model"],
            unique=True,
            sqlite_where=sa.text("status IN ('queued', 'running')"),
        )

    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scan_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("label_map_path", sa.String(), nullable=False),
        sa.Column("label_map_sha256", sa.String(length=64), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("software_version", sa.String(), nullable=False),
        sa.Column("git_commit", sa.String(), nullable=False),
        sa.Column("model_name", sa.String(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("weights_sha256", sa.String(), nullable=False),
        sa.Column("label_scheme", sa.String(), nullable=False),
        sa.Column("group_map_version", sa.Integer(), nullable=False),
        sa.Column("hu_preset", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("started_at", sa.String(), nullable=False),
        sa.Column("created_at", db.types.UTCDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('automatic', 'corrected', 'external')", name=op.f("ck_run_kind_allowed")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_run_job_id_job"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["parent_id"], ["run.id"], name=op.f("fk_run_parent_id_run"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["scan_id"], ["scan.id"], name=op.f("fk_run_scan_id_scan"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("job_id", name=op.f("uq_run_job_id")),
        sa.UniqueConstraint("label_map_path", name=op.f("uq_run_label_map_path")),
        sa.UniqueConstraint("scan_id", "version", name=op.f("uq_run_scan_id_version")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "measurement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("region", sa.String(length=40), nullable=False),
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("extent", sa.String(length=40), nullable=False),
        sa.Column("metric", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint("(value IS NULL) = (status = 'missing')", name=op.f("ck_measurement_value_or_missing")),
        sa.CheckConstraint("status IN ('ok', 'flagged', 'missing')", name=op.f("ck_measurement_status_allowed")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_measurement_run_id_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurement")),
        sa.UniqueConstraint(
            "run_id", "region", "side", "extent", "metric", name=op.f("uq_measurement_run_id_region_side_extent_metric")
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("measurement", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_measurement_region_metric_extent"), ["region", "metric", "extent"], unique=False
        )

    op.create_table(
        "review",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=False),
        sa.Column("reviewer", sa.String(length=200), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("created_at", db.types.UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "decision IN ('approved', 'rejected', 'needs_correction', 'comment')",
            name=op.f("ck_review_decision_allowed"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_review_run_id_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_review_run_id"), ["run_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("review", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_review_run_id"))

    op.drop_table("review")
    with op.batch_alter_table("measurement", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_measurement_region_metric_extent"))

    op.drop_table("measurement")
    op.drop_table("run")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index("uq_job_live", sqlite_where=sa.text("status IN ('queued', 'running')"))
        batch_op.drop_index(batch_op.f("ix_job_status_id"))

    op.drop_table("job")
    with op.batch_alter_table("scan", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_scan_visit_id"))

    op.drop_table("scan")
    op.drop_table("visit")
    op.drop_table("subject")
    op.drop_table("study")
