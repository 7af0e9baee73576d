"""What the pages are built from: charts, tables and words as pure functions, and the one place that caches."""
