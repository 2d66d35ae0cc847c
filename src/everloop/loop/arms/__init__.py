"""The arms of the loop: one pure function each, from policy and world to a decision."""
