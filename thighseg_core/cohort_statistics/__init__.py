"""Statistics of a cohort: change, trends, centiles and scores; pure functions on pandas frames of one row a value."""
