"""ThighSeg core: read a lower-extremity CT, segment the thigh muscle groups, measure them.

The way of the data: `reading` -> `segment` -> `measure`, strung together by `analyse.analyse`.
"""

__version__ = "0.1.0"
