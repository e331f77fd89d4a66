"""`python -m tuning_cli`, for a checkout that is not installed."""

from tuning_cli.app import main

if __name__ == "__main__":
    main()
