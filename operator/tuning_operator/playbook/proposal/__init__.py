"""The study that should follow: this one with every change that its findings ask for (playbook: INC-6)."""
