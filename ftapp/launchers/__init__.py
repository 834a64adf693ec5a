"""Where runs go: this machine, a Slurm partition or a Ray cluster."""
