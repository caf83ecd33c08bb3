"""Runs somebody's program under observation, and says why it hangs or fails."""
