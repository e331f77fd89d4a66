"""What is to be minimised: 30 problems in five groups, each in several instances."""
