"""The published facts as tables: revisions, methods, members, codes. Data and pure functions over it, nothing else."""
