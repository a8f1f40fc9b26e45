"""What flows and what can happen: values, events, states and errors. Knows nothing else."""
