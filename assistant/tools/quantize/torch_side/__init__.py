"""What runs in the environment "torch", in a child process: nothing of the rest of the package is there."""
