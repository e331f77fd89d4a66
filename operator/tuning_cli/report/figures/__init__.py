"""The Playbook's figures as values (K25): what they show can be tested without looking at a picture."""
