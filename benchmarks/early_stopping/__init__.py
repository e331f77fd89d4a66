"""What early stopping saves and what it costs, on curves that were trained with their full decay schedule."""
