"""What the Playbook has measured before or beside a search: throughput at batch sizes, losses at learning rates."""
