"""The control socket: its commands, server and client."""
