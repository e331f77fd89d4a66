"""What each kind of finding changes in the next study."""
