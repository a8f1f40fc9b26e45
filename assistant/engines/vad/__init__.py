"""Speech told from everything else."""
