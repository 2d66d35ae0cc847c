"""The reconciler: observe the world, decide purely, act idempotently."""
