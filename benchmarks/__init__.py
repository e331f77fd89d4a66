"""Measurements that decide what is built in."""
