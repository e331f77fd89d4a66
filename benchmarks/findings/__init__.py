"""How often the Playbook's rules raise a false alarm, and how often they miss what is there."""
