"""The Playbook's questions about a study, and their answers: pure functions, one rule each."""
