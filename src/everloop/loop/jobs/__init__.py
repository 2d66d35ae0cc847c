"""The heavy parts of Actions, each run in a process of its own from a folder of inputs."""
