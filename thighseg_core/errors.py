"""The tree of named errors. Each message says what was expected, what came and what to do."""


class ThighSegError(Exception):
    """Base of every error that a user of ThighSeg may see; `str(error)` is fit for a page."""


class InputError(ThighSegError):
    """What was handed in cannot be used."""


class UnreadableFileError(InputError):
    """A file is empty, truncated, of no known format, or damaged."""


class UnsafeArchiveError(InputError):
    """A zip is a bomb, has unsafe paths, is encrypted, or exceeds the limits."""


class NotCTError(InputError):
    """The images are not CT in Hounsfield units (other modality, no rescale, RGB)."""


class SeriesGeometryError(InputError):
    """The slices do not form one volume (missing, duplicate, mixed, tilted, no spacing)."""


class NothingUsableError(InputError):
    """The input holds no CT series that could be used."""


class GeometryMismatchError(InputError):
    """A label map and a scan do not lie on the same grid."""


class ModelError(ThighSegError):
    """A checkpoint is missing, incomplete, damaged or does not fit its network."""


class DatabaseError(ThighSegError):
    """The database refused: newer schema, locked for too long, unique value taken."""
