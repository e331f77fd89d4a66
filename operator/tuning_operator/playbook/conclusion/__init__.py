"""Whether the Playbook lets a study be concluded, and to what (K01)."""
